#include "base/token_bucket.h"

#include <algorithm>

namespace weir {

Instant TokenBucket::ready_at(std::int64_t bytes, Instant now) {
  if (rate_ <= 0) return now;
  fill(now);
  const double missing = static_cast<double>(std::min(bytes, burst_)) - tokens_;
  if (missing <= 0) return now;
  const std::chrono::duration<double> wait(missing / static_cast<double>(rate_));
  // Rounded up: who comes at this instant is not sent away for the rest of a nanosecond.
  return now + std::chrono::duration_cast<Duration>(wait) + Duration{1};
}

void TokenBucket::take(std::int64_t bytes, Instant now) {
  if (rate_ <= 0) return;
  fill(now);
  tokens_ -= static_cast<double>(bytes);
}

void TokenBucket::fill(Instant now) {
  if (!started_) {
    started_ = true;
    filled_at_ = now;
  }
  if (now <= filled_at_) return;
  const std::chrono::duration<double> passed = now - filled_at_;
  tokens_ =
      std::min(static_cast<double>(burst_), tokens_ + passed.count() * static_cast<double>(rate_));
  filled_at_ = now;
}

}  // namespace weir
