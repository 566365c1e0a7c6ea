#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "base/token_bucket.h"

#include <atomic>
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

  /// Another limit, also for those who wait: they take their turns at the new rate.
  void set_rate(std::int64_t bits_per_second);

  [[nodiscard]] bool unlimited() const { return unlimited_.load(std::memory_order_relaxed); }

 private:
  Clock& clock_;
  std::atomic<bool> unlimited_;
  Mutex mutex_;
  CondVar changed_;
  TokenBucket bucket_ WEIR_GUARDED_BY(mutex_);
  std::uint64_t rates_ WEIR_GUARDED_BY(mutex_) = 0;  // how often the rate was changed
};

}  // namespace weir::exporter
