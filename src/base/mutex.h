#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define WEIR_ATTRIBUTE(x) __attribute__((x))
#else
#define WEIR_ATTRIBUTE(x)
#endif

#define WEIR_CAPABILITY(x) WEIR_ATTRIBUTE(capability(x))
#define WEIR_SCOPED_CAPABILITY WEIR_ATTRIBUTE(scoped_lockable)
#define WEIR_GUARDED_BY(x) WEIR_ATTRIBUTE(guarded_by(x))
#define WEIR_REQUIRES(x) WEIR_ATTRIBUTE(requires_capability(x))
#define WEIR_ACQUIRE(...) WEIR_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define WEIR_RELEASE(...) WEIR_ATTRIBUTE(release_capability(__VA_ARGS__))
#define WEIR_EXCLUDES(x) WEIR_ATTRIBUTE(locks_excluded(x))

namespace weir {

/// `std::mutex` that clang's thread-safety analysis understands. It guards one container; nothing
/// is called while it is held, so there is no lock order to remember.
class WEIR_CAPABILITY("mutex") Mutex {
 public:
  void lock() WEIR_ACQUIRE() { mutex_.lock(); }
  void unlock() WEIR_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class WEIR_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) WEIR_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() WEIR_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// A condition variable for `Mutex`. Callers loop around the wait: wake-ups may be spurious.
class CondVar {
 public:
  void wait(Mutex& mutex) WEIR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  template <class TimePoint>
  void wait_until(Mutex& mutex, TimePoint deadline) WEIR_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_until(lock, deadline);
    lock.release();
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace weir
