#pragma once

#include "base/clock.h"

#include <string>
#include <string_view>

namespace weir::daemon {

/// Tells the service manager that started weir (systemd, Greengrass nucleus lite, a container
/// runtime that passes it on) how the service is, by datagrams to the socket in NOTIFY_SOCKET, as
/// sd_notify(3) describes. Where none is named, everything here does nothing.
///
/// The socket is opened once, so that a weir that has run out of descriptors can still say that it
/// lives. A message that cannot be sent is dropped: the manager's own timeouts are the answer to
/// that, and there is nobody else to tell.
///
/// Threads: all methods from any, after construction.
class ServiceNotifier {
 public:
  /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  static ServiceNotifier from_environment();

  /// `socket`: a path, or '@' and an abstract name; any other form notifies nobody.
  /// `watchdog`: how long the manager waits for `alive`; 0 = it does not watch.
  ServiceNotifier(std::string_view socket, Duration watchdog);
  ~ServiceNotifier();
  ServiceNotifier(ServiceNotifier&& other) noexcept;
  ServiceNotifier(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(ServiceNotifier&&) = delete;

  /// Programs can connect, or a reload has ended. `status` is what `systemctl status` then shows.
  void ready(std::string_view status = {}) const;
  /// The configuration is being read again; `ready` ends it, whatever came of it.
  void reloading() const;
  /// The ordered stop has begun; it needs at most `patience` more.
  void stopping(Duration patience) const;
  /// Still starting or stopping, and it goes on: the manager is to wait `patience` from now on.
  void extend(Duration patience, std::string_view status) const;
  /// The watchdog's sign of life. Never blocks: a full queue at the manager drops it, the next
  /// one comes before it is missed.
  void alive() const;

  /// How often `alive` is to be called: a quarter of what the manager waits; 0 = it does not watch.
  [[nodiscard]] Duration watchdog_interval() const;
  /// Whether there is anybody to tell.
  [[nodiscard]] bool listening() const { return descriptor_ >= 0; }

 private:
  void send(std::string_view text, int flags) const;

  int descriptor_ = -1;
  std::string address_;  // sun_path as the kernel wants it: an abstract name begins with NUL
  Duration watchdog_{};
};

}  // namespace weir::daemon
