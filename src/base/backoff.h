#pragma once

#include "base/clock.h"
#include "base/rng.h"

#include <optional>

namespace weir {

/// How long to wait before the next try: doubling from `first` to `ceiling`, half of it fixed and
/// half random, so that many waiting exports do not return in step. Pure; one thread.
class Backoff {
 public:
  struct Options {
    Duration first = std::chrono::seconds(1);
    Duration ceiling = std::chrono::seconds(300);
  };
  Backoff(Options options, std::uint64_t seed) : options_(options), rng_(seed) {}

  /// Counts for the next failure.
  void set_options(Options options) { options_ = options; }

  /// The wait after one more failure. A server's `at_least` (Retry-After) raises it, up to the
  /// ceiling. `ahead`: as if there had been so many failures more; they are not counted.
  Duration next(std::optional<Duration> at_least = std::nullopt, int ahead = 0);
  /// After a success: the next failure waits `first` again.
  void reset() { failures_ = 0; }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  Options options_;
  Rng rng_;
  int failures_ = 0;
};

}  // namespace weir
