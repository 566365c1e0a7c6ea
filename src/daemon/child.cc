#include "daemon/child.h"

#include "base/pause.h"
#include "base/result.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <stop_token>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::daemon {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(10);

// Its output goes to memory, so that nobody has to read while it runs.
Result<pid_t> spawn(const std::vector<std::string>& arguments, int output) {
  std::vector<char*> words;
  words.reserve(arguments.size() + 1);
  // The interface is older than const.
  for (const auto& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t how;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&how);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&how, 0);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words.front(), &files, &how, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&how);
  if (error != 0) return fail(os_error("cannot be run", error));
  return child;
}

std::size_t size_of(int descriptor) {
  struct stat info {};
  return ::fstat(descriptor, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

// Why it was ended before it ended by itself; empty if it did.
std::string wait_for(pid_t child, int output, Duration timeout, std::size_t bytes_max) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    if (::waitpid(child, nullptr, WNOHANG) != 0) return {};
    const bool late = std::chrono::steady_clock::now() >= until;
    if (late || size_of(output) > bytes_max) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      return late ? "it took too long and was ended" : "it printed too much and was ended";
    }
    pause_for(kLookEvery, {});
  }
}

}  // namespace

ChildOutput run_child(const std::vector<std::string>& arguments, Duration timeout,
                      std::size_t bytes_max) {
  ChildOutput result;
  const int output = ::memfd_create("output", MFD_CLOEXEC);
  if (output < 0) {
    result.complaint = os_error("cannot get memory for its output", errno).what;
    return result;
  }
  const auto child = spawn(arguments, output);
  if (!child) {
    result.complaint = child.error().what;
  } else {
    result.complaint = wait_for(*child, output, timeout, bytes_max);
    result.text.resize(std::min(size_of(output), bytes_max));
    const ssize_t read = ::pread(output, result.text.data(), result.text.size(), 0);
    result.text.resize(read < 0 ? 0 : static_cast<std::size_t>(read));
  }
  ::close(output);
  return result;
}

}  // namespace weir::daemon
