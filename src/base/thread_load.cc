#include "base/thread_load.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace weir {
namespace {

Duration time_on(clockid_t clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) return Duration{0};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

std::function<Duration()> processor_time_of(pthread_t thread) {
  clockid_t clock{};
  if (::pthread_getcpuclockid(thread, &clock) != 0) return [] { return Duration{0}; };
  return [clock] { return time_on(clock); };
}

Duration processor_time_of_this_thread() { return time_on(CLOCK_THREAD_CPUTIME_ID); }

void ThreadLoad::watch(std::function<Duration()> processor_time, Instant now) {
  const MutexLock lock(mutex_);
  processor_time_ = std::move(processor_time);
  used_ = processor_time_();
  at_ = now;
}

double ThreadLoad::share(Instant now) {
  const MutexLock lock(mutex_);
  if (!processor_time_) return 0;
  if (now - at_ < kPeriod) return share_;
  const Duration used = processor_time_();
  const std::chrono::duration<double> busy = used - used_;
  const std::chrono::duration<double> passed = now - at_;
  share_ = std::clamp(busy / passed, 0.0, 1.0);  // below 0 when the thread has ended
  used_ = used;
  at_ = now;
  return share_;
}

}  // namespace weir
