#pragma once

#include "base/mutex.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace weir::exporter {

/// One thread that makes the next batch of a delivery ready while the worker sends the one before.
/// It does one thing at a time; what it cannot begin at once the worker does itself, so nothing
/// queues here and one thread serves all workers. It pays where it matters: one export with a
/// backlog has the other cores to itself.
///
/// Threads: any, except `run`.
class Lookahead {
 public:
  class Task {
   public:
    /// `work` must not throw and owns or outlives what it uses: see `finish`.
    explicit Task(std::function<void()> work) : work_(std::move(work)) {}

   private:
    friend class Lookahead;
    enum class State : std::uint8_t { kNew, kBegun, kDone };
    std::function<void()> work_;
    State state_ = State::kNew;  // guarded by the mutex of the Lookahead
  };

  /// Has `task` done on the thread of `run`, unless that is busy. Tells whether; a task that was
  /// finished does not keep it busy.
  bool offer(const std::shared_ptr<Task>& task) WEIR_EXCLUDES(mutex_);
  /// Returns when `task` is done; does it here if nobody has begun it. Every task that was offered
  /// is finished by the one who offered it. Blocks: as its work does.
  void finish(const std::shared_ptr<Task>& task) WEIR_EXCLUDES(mutex_);

  /// Works until `close`.
  void run() WEIR_EXCLUDES(mutex_);
  /// Nothing is begun any more.
  void close() WEIR_EXCLUDES(mutex_);

 private:
  [[nodiscard]] std::shared_ptr<Task> next() WEIR_EXCLUDES(mutex_);
  void done(Task& task, bool idle) WEIR_EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar offered_;
  CondVar done_;
  std::shared_ptr<Task> waiting_ WEIR_GUARDED_BY(mutex_);
  bool idle_ WEIR_GUARDED_BY(mutex_) = false;
  bool closed_ WEIR_GUARDED_BY(mutex_) = false;
};

}  // namespace weir::exporter
