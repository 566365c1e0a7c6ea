#include "base/token_bucket.h"

#include <algorithm>

namespace weir {

Instant TokenBucket::reserve(std::int64_t bytes, Instant now) {
  if (rate_ <= 0) return now;
  if (!started_) {
    started_ = true;
    filled_at_ = now;
  }
  if (now > filled_at_) {
    const std::chrono::duration<double> passed = now - filled_at_;
    tokens_ = std::min(static_cast<double>(burst_),
                       tokens_ + passed.count() * static_cast<double>(rate_));
    filled_at_ = now;
  }
  tokens_ -= static_cast<double>(bytes);
  if (tokens_ >= 0) return now;
  const std::chrono::duration<double> wait(-tokens_ / static_cast<double>(rate_));
  return now + std::chrono::duration_cast<Duration>(wait);
}

}  // namespace weir
