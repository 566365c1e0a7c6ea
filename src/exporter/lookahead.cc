#include "exporter/lookahead.h"

#include <utility>

namespace weir::exporter {

void Lookahead::offer(const std::shared_ptr<Task>& task) {
  const MutexLock lock(mutex_);
  if (!idle_ || closed_ || waiting_ != nullptr) return;
  waiting_ = task;
  offered_.notify_one();
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
  done(*task);
}

void Lookahead::run() {
  while (const auto task = next()) {
    task->work_();
    done(*task);
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

void Lookahead::done(Task& task) {
  const MutexLock lock(mutex_);
  task.state_ = Task::State::kDone;
  done_.notify_all();
}

void Lookahead::close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  waiting_.reset();
  offered_.notify_all();
}

}  // namespace weir::exporter
