#include "exporter/lookahead.h"

#include <utility>

namespace weir::exporter {

bool Lookahead::offer(const std::shared_ptr<Task>& task) {
  const MutexLock lock(mutex_);
  if (!idle_ || closed_ || waiting_ != nullptr) return false;
  waiting_ = task;
  offered_.notify_one();
  return true;
}

void Lookahead::finish(const std::shared_ptr<Task>& task) {
  {
    const MutexLock lock(mutex_);
    while (task->state_ == Task::State::kBegun) done_.wait(mutex_);
    if (task->state_ == Task::State::kDone) return;
    task->state_ = Task::State::kBegun;
    if (waiting_ == task) waiting_.reset();
  }
  task->work_();
  done(*task, /*idle=*/false);
}

void Lookahead::run() {
  while (const auto task = next()) {
    task->work_();
    done(*task, /*idle=*/true);
  }
}

std::shared_ptr<Lookahead::Task> Lookahead::next() {
  const MutexLock lock(mutex_);
  idle_ = true;
  while (waiting_ == nullptr && !closed_) offered_.wait(mutex_);
  idle_ = false;
  if (closed_) return nullptr;
  waiting_->state_ = Task::State::kBegun;
  return std::exchange(waiting_, nullptr);
}

// Who waits for the task has the next one ready at once: it must not find this thread busy only
// because it was not yet its turn to go and wait.
void Lookahead::done(Task& task, bool idle) {
  const MutexLock lock(mutex_);
  task.state_ = Task::State::kDone;
  if (idle) idle_ = true;
  done_.notify_all();
}

void Lookahead::close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  waiting_.reset();
  offered_.notify_all();
}

}  // namespace weir::exporter
