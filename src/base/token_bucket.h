#pragma once

#include "base/clock.h"

#include <cstdint>

namespace weir {

/// Spreads bytes over time at an average rate. Pure; one thread at a time.
class TokenBucket {
 public:
  /// `bytes_per_second` 0 means unlimited. `burst_bytes` may be sent at once after a silence.
  TokenBucket(std::int64_t bytes_per_second, std::int64_t burst_bytes)
      : rate_(bytes_per_second), burst_(burst_bytes), tokens_(static_cast<double>(burst_bytes)) {}

  /// When `bytes` may be sent if nobody takes any before: `now` if at once. More than a burst may
  /// be sent when the bucket is full, on credit.
  Instant ready_at(std::int64_t bytes, Instant now);
  /// `bytes` are sent. What the bucket does not hold is a debt that the next ones wait for.
  void take(std::int64_t bytes, Instant now);

 private:
  void fill(Instant now);

  std::int64_t rate_;
  std::int64_t burst_;
  double tokens_;  // negative while in debt
  Instant filled_at_{};
  bool started_ = false;
};

}  // namespace weir
