#pragma once

#include <chrono>
#include <cstdint>

namespace weir {

using Duration = std::chrono::nanoseconds;
/// A point on the monotonic clock. Only differences mean anything.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Both clocks of the machine, so that tests can bring their own.
///
/// Timeouts, intervals and backoff use `now()`; the wall clock is only for what people and
/// destinations see (reliability.md T1). Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() const = 0;
  /// Milliseconds since 1970 UTC. May jump in either direction.
  [[nodiscard]] virtual std::int64_t wall_ms() const = 0;
};

/// The clocks of the operating system.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] std::int64_t wall_ms() const override;
};

/// A clock that stands still until told otherwise. For tests and simulation; one thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_ms = 1'700'000'000'000) : wall_ms_(wall_ms) {}
  [[nodiscard]] Instant now() const override { return now_; }
  [[nodiscard]] std::int64_t wall_ms() const override { return wall_ms_; }
  /// Moves both clocks forward.
  void advance(Duration by) {
    now_ += by;
    carry_ += by;
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(carry_);
    carry_ -= whole;
    wall_ms_ += whole.count();
  }
  /// Steps the wall clock only, as NTP does.
  void step_wall_ms(std::int64_t by) { wall_ms_ += by; }

 private:
  Instant now_{std::chrono::hours(1)};
  Duration carry_{0};
  std::int64_t wall_ms_;
};

}  // namespace weir
