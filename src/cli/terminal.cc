#include "cli/terminal.h"

#include "base/check.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr std::array<int, 6> kSignals = {SIGWINCH, SIGTSTP, SIGCONT, SIGSEGV, SIGABRT, SIGBUS};

// What the handlers need; a handler can reach nothing but globals.
std::atomic<int> screen_in{-1};
std::atomic<int> screen_out{-1};
termios mode_before;
termios mode_ours;
std::array<int, 2> changed_pipe = {-1, -1};
std::array<struct sigaction, kSignals.size()> actions_before;

void put(std::string_view text) {
  [[maybe_unused]] const auto written = ::write(screen_out, text.data(), text.size());
}

// Only what a signal handler may call.
void leave() {
  put(kLeave);
  ::tcsetattr(screen_in, TCSANOW, &mode_before);
}

void enter() {
  ::tcsetattr(screen_in, TCSANOW, &mode_ours);
  put(kEnter);
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  // A frame that is being written goes on after another size was announced.
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

void on_signal(int number) {
  const int error = errno;
  if (number == SIGCONT) {
    handle(SIGTSTP, on_signal);
    enter();
  } else if (number == SIGTSTP) {
    leave();
    handle(SIGTSTP, SIG_DFL);
    ::raise(SIGTSTP);  // takes effect when this returns
  }
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(changed_pipe[1], &byte, 1);
  errno = error;
}

void on_crash(int number) {
  leave();
  handle(number, SIG_DFL);
  ::raise(number);
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  return value != nullptr && *value != '\0';
}

}  // namespace

TerminalSize terminal_size(int fd) {
  winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

bool is_screen(int fd) {
  if (::isatty(fd) != 1) return false;
  const char* terminal = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): one thread
  return terminal != nullptr && *terminal != '\0' && std::strcmp(terminal, "dumb") != 0;
}

bool has_colours(int fd) { return is_screen(fd) && !is_set("NO_COLOR"); }

FullScreen::FullScreen(int in, int out) {
  WEIR_CHECK(screen_in < 0, "one FullScreen at a time");
  WEIR_CHECK(::pipe2(changed_pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0, "a pipe of our own");
  screen_in = in;
  screen_out = out;
  ::tcgetattr(in, &mode_before);
  mode_ours = mode_before;
  // Ctrl-C and Ctrl-Z stay signals.
  mode_ours.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  mode_ours.c_cc[VMIN] = 0;
  mode_ours.c_cc[VTIME] = 0;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals.at(i), nullptr, &actions_before.at(i));
    const bool crash =
        kSignals.at(i) == SIGSEGV || kSignals.at(i) == SIGABRT || kSignals.at(i) == SIGBUS;
    handle(kSignals.at(i), crash ? on_crash : on_signal);
  }
  enter();
}

FullScreen::~FullScreen() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals.at(i), &actions_before.at(i), nullptr);
  }
  leave();
  screen_in = -1;
  screen_out = -1;
  ::close(changed_pipe[0]);
  ::close(changed_pipe[1]);
  changed_pipe = {-1, -1};
}

int FullScreen::changed_fd() const { return changed_pipe[0]; }

bool FullScreen::take_changed() {
  std::array<char, 64> bytes;
  return ::read(changed_pipe[0], bytes.data(), bytes.size()) > 0;
}

}  // namespace weir::cli
