#include "exporter/bandwidth.h"

#include <algorithm>

namespace weir::exporter {
namespace {

std::int64_t bytes_per_second(std::int64_t bits_per_second) {
  // A rate below one byte per second would read as "unlimited" in the bucket.
  return bits_per_second <= 0 ? 0 : std::max<std::int64_t>(1, bits_per_second / 8);
}

}  // namespace

BandwidthLimiter::BandwidthLimiter(std::int64_t bits_per_second, Clock& clock)
    : clock_(clock),
      unlimited_(bits_per_second <= 0),
      bucket_(bytes_per_second(bits_per_second), bytes_per_second(bits_per_second)) {}

void BandwidthLimiter::set_rate(std::int64_t bits_per_second) {
  const std::int64_t rate = bytes_per_second(bits_per_second);
  const MutexLock lock(mutex_);
  bucket_ = TokenBucket(rate, rate);
  unlimited_ = rate == 0;
  ++rates_;
  changed_.notify_all();
}

bool BandwidthLimiter::acquire(std::int64_t bytes, const std::stop_token& stop) {
  if (stop.stop_requested()) return false;
  if (unlimited() || bytes <= 0) return true;
  // Declared before the lock: its destructor may wait for the callback, which takes the lock.
  const std::stop_callback wake(stop, [this] {
    const MutexLock lock(mutex_);
    changed_.notify_all();
  });
  const MutexLock lock(mutex_);
  Instant send_at = bucket_.reserve(bytes, clock_.now());
  std::uint64_t of_rate = rates_;
  while (!stop.stop_requested()) {
    if (of_rate != rates_) {
      of_rate = rates_;
      send_at = bucket_.reserve(bytes, clock_.now());
    }
    const Duration left = send_at - clock_.now();
    if (left <= Duration::zero()) return true;
    changed_.wait_until(mutex_, std::chrono::steady_clock::now() + left);
  }
  return false;
}

}  // namespace weir::exporter
