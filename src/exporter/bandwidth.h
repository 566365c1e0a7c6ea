#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "base/token_bucket.h"

#include <cstdint>
#include <stop_token>

namespace weir::exporter {

/// The one limit on what all exports together send (protocol.md §5.5): an average rate, with a
/// burst of one second. Transports charge it piece by piece while a body goes out, so retries and
/// multipart uploads count too.
///
/// Threads: any number of uploads at once; they get their turns in the order they asked.
class BandwidthLimiter {
 public:
  /// A good size of one piece: small enough to share a slow link fairly, large enough to be cheap.
  static constexpr std::int64_t kPieceBytes = std::int64_t{16} * 1024;

  /// 0 (or less) bits per second means unlimited; the configuration's kilobit is 1000 bits.
  /// Lifetime: `clock` outlives the limiter.
  BandwidthLimiter(std::int64_t bits_per_second, Clock& clock);

  /// Waits until `bytes` more may be sent. False if `stop` was requested first: send nothing then.
  /// Blocks: for as long as the rate demands; stop ends it at once.
  [[nodiscard]] bool acquire(std::int64_t bytes, const std::stop_token& stop);

  [[nodiscard]] bool unlimited() const { return unlimited_; }

 private:
  Clock& clock_;
  const bool unlimited_;
  Mutex mutex_;
  CondVar stopped_;
  TokenBucket bucket_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::exporter
