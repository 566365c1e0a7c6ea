#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "exporter/upload_turns.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <stop_token>

namespace weir::exporter {

/// The one limit on what all exports together send (protocol.md §5.5): an average rate, with a
/// burst of one second. Transports charge it piece by piece while a body goes out, so retries and
/// multipart uploads count too.
///
/// Priority is strict, as it is for workers: while an upload of a better one waits for its next
/// piece, no other gets any. A body that has begun stays begun; it goes on when they are done.
///
/// Threads: any number of uploads at once; those of one priority take turns.
class BandwidthLimiter {
 public:
  /// A good size of one piece: small enough to share a slow link fairly, large enough to be cheap.
  static constexpr std::int64_t kPieceBytes = std::int64_t{16} * 1024;

  /// 0 (or less) bits per second means unlimited; the configuration's kilobit is 1000 bits.
  /// Lifetime: `clock` outlives the limiter.
  BandwidthLimiter(std::int64_t bits_per_second, Clock& clock);

  /// Waits until an upload of `priority` (lower goes first) may send `bytes` more. False if `stop`
  /// was requested first: send nothing then. Blocks: for as long as the rate and better priorities
  /// demand; stop ends it at once.
  [[nodiscard]] bool acquire(std::int64_t bytes, std::int64_t priority, const std::stop_token& stop)
      WEIR_EXCLUDES(mutex_);

  /// Another limit, also for those who wait: they take their turns at the new rate.
  void set_rate(std::int64_t bits_per_second) WEIR_EXCLUDES(mutex_);

  [[nodiscard]] bool unlimited() const { return unlimited_.load(std::memory_order_relaxed); }

 private:
  Clock& clock_;
  std::atomic<bool> unlimited_;
  Mutex mutex_;
  UploadTurns turns_ WEIR_GUARDED_BY(mutex_);
  // Wakes who waits in that place, and nobody else: a fast link has thousands of turns a second.
  std::map<UploadTurns::Place, CondVar*> waiting_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::exporter
