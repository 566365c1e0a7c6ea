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
    : clock_(clock), unlimited_(bits_per_second <= 0), turns_(bytes_per_second(bits_per_second)) {}

void BandwidthLimiter::set_rate(std::int64_t bits_per_second) {
  const std::int64_t rate = bytes_per_second(bits_per_second);
  const MutexLock lock(mutex_);
  turns_.set_rate(rate);
  unlimited_ = rate == 0;
  for (const auto& [place, wake] : waiting_) wake->notify_one();
}

bool BandwidthLimiter::acquire(std::int64_t bytes, std::int64_t priority,
                               const std::stop_token& stop) {
  if (stop.stop_requested()) return false;
  if (unlimited() || bytes <= 0) return true;
  CondVar wake;
  // Declared before the lock: its destructor may wait for the callback, which takes the lock.
  const std::stop_callback stopped(stop, [&] {
    const MutexLock lock(mutex_);
    wake.notify_one();
  });
  const MutexLock lock(mutex_);
  const auto place = turns_.line_up(priority, bytes);
  waiting_.emplace(place, &wake);
  bool sends = false;
  while (!stop.stop_requested()) {
    const Instant now = clock_.now();
    const Instant turn = turns_.turn(place, now);
    sends = turn <= now;
    if (sends) break;
    if (turn == Instant::max()) {
      wake.wait(mutex_);
    } else {
      wake.wait_until(mutex_, std::chrono::steady_clock::now() + (turn - now));
    }
  }
  turns_.leave(place, sends, clock_.now());
  waiting_.erase(place);
  if (const auto next = turns_.first()) waiting_.at(*next)->notify_one();
  return sends;
}

}  // namespace weir::exporter
