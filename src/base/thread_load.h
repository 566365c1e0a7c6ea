#pragma once

#include "base/clock.h"
#include "base/mutex.h"

#include <functional>
#include <pthread.h>

namespace weir {

/// What one thread has used of the processor since it began. Zero once the thread has ended.
/// The function may outlive the thread. Threads: any. Errors: none, a thread unknown to the kernel
/// has used nothing.
std::function<Duration()> processor_time_of(pthread_t thread);
/// The same for the thread that asks.
Duration processor_time_of_this_thread();

/// Which part of its time one thread has been busy of late, for others that would rather not take
/// the processor from it.
///
/// Threads: any, after `watch`.
class ThreadLoad {
 public:
  /// The shortest time of which a share is told; asked earlier, it tells the last one again.
  static constexpr Duration kPeriod = std::chrono::milliseconds(5);

  /// Which thread it is, by its processor time. Once.
  void watch(std::function<Duration()> processor_time, Instant now) WEIR_EXCLUDES(mutex_);
  /// From 0 to 1: since the share was last worked out, at least `kPeriod` ago. 0 while nobody is
  /// watched.
  [[nodiscard]] double share(Instant now) WEIR_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::function<Duration()> processor_time_ WEIR_GUARDED_BY(mutex_);
  Instant at_ WEIR_GUARDED_BY(mutex_){};
  Duration used_ WEIR_GUARDED_BY(mutex_){0};
  double share_ WEIR_GUARDED_BY(mutex_) = 0;
};

}  // namespace weir
