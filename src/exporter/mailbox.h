#pragma once

#include "base/clock.h"
#include "base/mutex.h"

#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace weir::exporter {

class Scheduler;

/// News for the scheduler thread, in the order they were posted.
///
/// Bounded by what can be under way: one message for each worker, each position being saved and
/// each change of a stream's definition. Threads: `post` and `wake` from any, `wait` from one.
class Mailbox {
 public:
  using News = std::function<void(Scheduler&)>;

  void post(News news) {
    const MutexLock lock(mutex_);
    news_.push_back(std::move(news));
    changed_.notify_one();
  }
  /// Makes the present or next `wait` return.
  void wake() {
    const MutexLock lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }
  /// Blocks: until there are news, somebody calls `wake`, or `clock` reaches `deadline`.
  [[nodiscard]] std::vector<News> wait(Instant deadline, const Clock& clock) {
    const MutexLock lock(mutex_);
    while (news_.empty() && !woken_) {
      if (deadline == Instant::max()) {
        changed_.wait(mutex_);
        continue;
      }
      const Instant now = clock.now();
      if (now >= deadline) break;
      changed_.wait_until(mutex_, std::chrono::steady_clock::now() + (deadline - now));
    }
    woken_ = false;
    return std::exchange(news_, {});
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<News> news_ WEIR_GUARDED_BY(mutex_);
  bool woken_ WEIR_GUARDED_BY(mutex_) = false;
};

/// Work for threads that may block. Whoever pushes bounds it: the scheduler has at most one entry
/// for each worker and one for each export under way.
///
/// Threads: any.
template <class T>
class WorkQueue {
 public:
  void push(T item) {
    const MutexLock lock(mutex_);
    if (closed_) return;
    items_.push_back(std::move(item));
    changed_.notify_one();
  }
  /// Blocks: until there is work. Nothing once the queue is closed and empty.
  [[nodiscard]] std::optional<T> pop() {
    const MutexLock lock(mutex_);
    while (items_.empty() && !closed_) changed_.wait(mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }
  /// Nothing is taken any more; what waits is still handed out.
  void close() {
    const MutexLock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<T> items_ WEIR_GUARDED_BY(mutex_);
  bool closed_ WEIR_GUARDED_BY(mutex_) = false;
};

}  // namespace weir::exporter
