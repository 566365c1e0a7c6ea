#include "daemon/service_notifier.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace weir::daemon {
namespace {

using std::chrono::microseconds;

// A service manager that is busy for longer than this loses a message, and not weir its time.
constexpr timeval kSendMax{2, 0};
// `alive` is called this often in the time that the manager waits for it, so that a lost one, and a
// turn of the loop that took long, do no harm.
constexpr int kSignsPerWatchdogTime = 4;

std::string_view variable(const char* name) {
  // Read before any thread could change the environment; weir never changes it.
  const char* value = ::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// A positive number and nothing else; 0 otherwise.
std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, problem] = std::from_chars(text.data(), end, value);
  return problem == std::errc() && stopped == end && value > 0 ? value : 0;
}

Duration watchdog_of_environment() {
  // WATCHDOG_USEC may have been meant for the process that started this one.
  const std::string_view pid = variable("WATCHDOG_PID");
  if (!pid.empty() && number(pid) != ::getpid()) return {};
  // A year and no more: the product with nanoseconds must fit.
  constexpr std::int64_t kUsecMax = std::int64_t{365} * 24 * 3600 * 1'000'000;
  return microseconds(std::min(number(variable("WATCHDOG_USEC")), kUsecMax));
}

std::int64_t usec(Duration duration) {
  return std::chrono::duration_cast<microseconds>(duration).count();
}

// Whatever is in it, a status is one line of the message.
std::string status_line(std::string_view status) {
  if (status.empty()) return {};
  std::string line = fmt::format("\nSTATUS={}", status);
  std::replace(line.begin() + 1, line.end(), '\n', ' ');
  return line;
}

}  // namespace

ServiceNotifier ServiceNotifier::from_environment() {
  return {variable("NOTIFY_SOCKET"), watchdog_of_environment()};
}

ServiceNotifier::ServiceNotifier(std::string_view socket, Duration watchdog)
    : address_(socket), watchdog_(watchdog) {
  constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path);
  if (socket.size() < 2 || socket.size() >= kPathMax || (socket[0] != '/' && socket[0] != '@')) {
    return;
  }
  if (address_[0] == '@') address_[0] = '\0';
  descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return;
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &kSendMax, sizeof kSendMax);
}

ServiceNotifier::~ServiceNotifier() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ServiceNotifier::ServiceNotifier(ServiceNotifier&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      address_(std::move(other.address_)),
      watchdog_(other.watchdog_) {}

void ServiceNotifier::send(std::string_view text, int flags) const {
  if (descriptor_ < 0) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(address_.begin(), address_.end(), address.sun_path);
  // An abstract name ends with its length, a path may as well.
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // Not connected once and for all: a manager that is updated opens its socket anew.
  ::sendto(descriptor_, text.data(), text.size(), flags | MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&address), length);
}

void ServiceNotifier::ready(std::string_view status) const {
  send("READY=1" + status_line(status), 0);
}

void ServiceNotifier::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t now_usec = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now_usec), 0);
}

void ServiceNotifier::stopping(Duration patience) const {
  send(fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}\nSTATUS=Stopping", usec(patience)), 0);
}

void ServiceNotifier::extend(Duration patience, std::string_view status) const {
  send(fmt::format("EXTEND_TIMEOUT_USEC={}{}", usec(patience), status_line(status)), 0);
}

void ServiceNotifier::alive() const { send("WATCHDOG=1", MSG_DONTWAIT); }

Duration ServiceNotifier::watchdog_interval() const {
  return descriptor_ < 0 ? Duration::zero() : watchdog_ / kSignsPerWatchdogTime;
}

}  // namespace weir::daemon
