#pragma once

#include "base/clock.h"
#include "daemon/config.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// What concerns the process as a whole: limits, privileges, signals.
namespace weir::daemon {

/// Sets umask, allocator, descriptor limit and, when `config` holds credentials, forbids core
/// files; warns when run as root. Call once, before any thread is started.
void prepare_process(const Config& config);

/// Identifies this run of the kernel; empty if unknown. A sandbox may hide `file`; then the service
/// manager may have told it in BOOT_ID, with or without dashes.
std::string boot_id(const char* file = "/proc/sys/kernel/random/boot_id");

/// Figures from /proc; 0 if unknown.
std::int64_t resident_bytes();
std::int64_t open_descriptors();

/// Gives back the memory that starting needed and running does not: free heap, and pages of
/// programs and libraries, which the kernel reads again from its cache where they are used.
void release_startup_memory();

/// Waits for SIGTERM and SIGINT on a thread of its own, and blocks them in all others. A signal
/// before `expect` is called ends the process at once: nothing was promised to anybody yet. The
/// first one after that ends `wait`; a second one, or a stop that takes longer than
/// 10 s, ends the process at once, which is as safe as `kill -9`.
class StopSignals {
 public:
  /// How long an ordered stop may take.
  static constexpr Duration kStopMax = std::chrono::seconds(10);

  /// Construct before any other thread exists.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// From now on a signal asks for an ordered stop. Call before anybody hears that weir is ready.
  void expect();

  /// `act` runs on this object's thread with each SIGHUP from now on, and at once if there was one
  /// before; it must not block. Empty: SIGHUP has no effect. Until this is called it is remembered.
  void at_hangup(std::function<void()> act);

  /// Blocks until the first signal since `expect`; returns its number.
  int wait();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir::daemon
