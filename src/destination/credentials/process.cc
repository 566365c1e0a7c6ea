#include "destination/credentials/process.h"

#include "base/log.h"
#include "destination/credentials/answer.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX wants it declared

namespace weir::destination::credentials {
namespace {

constexpr int kLookMs = 50;  // how often stop and deadline are looked at

// A child in a process group of its own; gone for certain when this is destroyed.
class Child {
 public:
  Child(pid_t pid, int output) : pid_(pid), output_(output) {}
  ~Child() {
    ::close(output_);
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int output() const { return output_; }

  // The exit status once it has ended; -1 while it runs.
  int ended() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return -1;
    ::kill(-pid_, SIGKILL);  // whatever it left behind
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
  int output_;
};

Result<std::pair<pid_t, int>> start(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(os_error("make a pipe", errno));
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const auto& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  pid_t pid = 0;
  const int reason = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  ::close(ends[1]);
  if (reason != 0) {
    ::close(ends[0]);
    return fail(os_error("start it", reason));
  }
  return std::pair{pid, ends[0]};
}

Result<std::string> watch(Child& child, Duration timeout, const std::stop_token& stop) {
  // A real program runs in real time, whatever clock the rest of weir was given.
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string output;
  output.reserve(kAnswerBytesMax + 1);  // secrets are not left behind in smaller buffers
  bool open = true;
  const auto give_up = [&](Errc code, const char* why) {
    wipe(output);
    return fail(code, why);
  };
  for (;;) {
    if (stop.stop_requested()) return give_up(Errc::kCancelled, "interrupted");
    if (std::chrono::steady_clock::now() >= deadline) {
      return give_up(Errc::kUnavailable, "did not end in time and was stopped");
    }
    if (open) {
      pollfd one{child.output(), POLLIN, 0};
      if (::poll(&one, 1, kLookMs) <= 0) continue;
      std::array<char, 4096> piece{};
      const ssize_t n = ::read(child.output(), piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) open = false;
      if (n > 0) output.append(piece.data(), static_cast<std::size_t>(n));
      if (output.size() > kAnswerBytesMax) {
        return give_up(Errc::kInvalidArgument, "printed more than 64 KiB");
      }
      continue;
    }
    const int status = child.ended();
    if (status == 0) return output;
    if (status > 0) {
      wipe(output);
      return fail(Errc::kUnavailable,
                  "ended with status " + std::to_string(status) +
                      "; run it by hand as the user weir runs as, to see what it says");
    }
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace

Result<std::vector<std::string>> split_command(std::string_view command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool escapes = c == '\\' && quote != '\'' && i + 1 < command.size();
    if (quote == 0 && (c == ' ' || c == '\t')) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (escapes && (quote == 0 || command[i + 1] == '"' || command[i + 1] == '\\')) {
      word += command[++i];
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  if (quote != 0) return fail(Errc::kInvalidArgument, "a quote is not closed");
  if (in_word) words.push_back(std::move(word));
  if (words.empty() || words.front().empty()) {
    return fail(Errc::kInvalidArgument, "there is no program in it");
  }
  return words;
}

Result<std::string> run_process(const std::vector<std::string>& arguments, Duration timeout,
                                const std::stop_token& stop) {
  const std::string context = "the program " + log::escaped(arguments.front(), 128);
  auto started = start(arguments);
  if (!started) return fail(with_context(context, std::move(started).error()));
  Child child(started->first, started->second);
  auto output = watch(child, timeout, stop);
  if (output) return output;
  Error error = std::move(output).error();
  error.what = context + " " + error.what;
  return fail(std::move(error));
}

}  // namespace weir::destination::credentials
