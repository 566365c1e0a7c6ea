#include "cli/interrupt.h"

#include "base/check.h"

#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr std::array<int, 4> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
constexpr std::size_t kPipe = 3;  // position of SIGPIPE

// What the handler needs; a handler can reach nothing but globals.
std::atomic<bool> signal_raised{false};
std::array<int, 2> signal_pipe = {-1, -1};
std::array<struct sigaction, kSignals.size()> before;

void on_signal(int number) {
  if (signal_raised.exchange(true)) {
    // The second one: do what the signal would have done.
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  const char byte = 0;
  [[maybe_unused]] const auto written = ::write(signal_pipe[1], &byte, 1);
}

}  // namespace

Interrupt::Interrupt() {
  WEIR_CHECK(signal_pipe[0] < 0, "one Interrupt at a time");
  WEIR_CHECK(::pipe2(signal_pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0, "a pipe of our own");
  signal_raised = false;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action = {};
    // Without SA_RESTART: a blocked write to a full pipe must end, too.
    action.sa_handler = i == kPipe ? SIG_IGN : on_signal;
    ::sigaction(kSignals.at(i), &action, &before.at(i));
  }
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals.at(i), &before.at(i), nullptr);
  }
  ::close(signal_pipe[0]);
  ::close(signal_pipe[1]);
  signal_pipe = {-1, -1};
}

bool Interrupt::raised() const { return signal_raised; }
int Interrupt::fd() const { return signal_pipe[0]; }

}  // namespace weir::cli
