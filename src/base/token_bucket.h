#pragma once

#include "base/clock.h"

#include <cstdint>

namespace weir {

/// Spreads bytes over time at an average rate, with debt: a reservation is always granted, the
/// answer says when to send. Pure; one thread at a time.
class TokenBucket {
 public:
  /// `bytes_per_second` 0 means unlimited. `burst_bytes` may be sent at once after a silence.
  TokenBucket(std::int64_t bytes_per_second, std::int64_t burst_bytes)
      : rate_(bytes_per_second), burst_(burst_bytes), tokens_(static_cast<double>(burst_bytes)) {}

  /// Takes `bytes` and returns the instant at which they may be sent (`now` if at once).
  Instant reserve(std::int64_t bytes, Instant now);

 private:
  std::int64_t rate_;
  std::int64_t burst_;
  double tokens_;  // negative while in debt
  Instant filled_at_{};
  bool started_ = false;
};

}  // namespace weir
