#pragma once

#include "base/clock.h"

#include <functional>
#include <utility>

namespace weir::exporter {

/// Lets clients come first: a worker rests after a batch while the thread that serves them is
/// busy. `nice(2)` alone does not do that, because that thread and its clients often wait for
/// each other for microseconds, and a delivery that begins then is not put off again in time.
///
/// Rests are in proportion to the processor time that the worker itself has used, so one that
/// mostly waits for the network hardly rests at all.
///
/// Threads: any, except what the functions it was made with say.
class Rest {
 public:
  /// Rests begin above this load, ...
  static constexpr double kLoadWithoutRest = 0.4;
  /// ... and are the longest from this one on:
  static constexpr double kLoadOfLongestRest = 0.6;
  /// so many times what the batch took of the processor.
  static constexpr double kLongest = 2;
  /// However long the batch took.
  static constexpr Duration kAtMost = std::chrono::milliseconds(20);

  struct Environment {
    /// Which part of its time, 0 to 1, the thread that serves clients is busy. Any thread.
    std::function<double()> load;
    /// What the calling thread has used of the processor.
    std::function<Duration()> processor_time;
    /// Blocks for so long.
    std::function<void(Duration)> sleep;
  };

  /// With the clocks of the system. Null: never rests.
  explicit Rest(std::function<double()> load);
  /// For tests.
  explicit Rest(Environment environment) : environment_(std::move(environment)) {}

  /// How long to rest after a batch that took `used` of the processor.
  [[nodiscard]] static Duration after(Duration used, double load);

  /// What `take` wants to know: the processor time of this thread.
  [[nodiscard]] Duration begin() const { return environment_.processor_time(); }
  /// Rests for what was done since `since`, and moves `since` to now. Blocks: at most `kAtMost`.
  void take(Duration& since) const;

 private:
  Environment environment_;
};

}  // namespace weir::exporter
