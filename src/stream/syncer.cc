#include "stream/syncer.h"

#include <optional>
#include <utility>

namespace weir::stream {

struct Syncer::Shared {
  explicit Shared(Executor& executor) : core(executor) {}

  Executor& core;
  Mutex mutex;
  CondVar changed;
  std::deque<Job> waited_for WEIR_GUARDED_BY(mutex);
  std::deque<Job> periodic WEIR_GUARDED_BY(mutex);
  std::vector<Then> completions WEIR_GUARDED_BY(mutex);
  bool posted WEIR_GUARDED_BY(mutex) = false;  ///< core was told of `completions`
  bool running WEIR_GUARDED_BY(mutex) = false;
  std::uint64_t turns WEIR_GUARDED_BY(mutex) = 0;
  bool stopping WEIR_GUARDED_BY(mutex) = false;

  bool idle() WEIR_REQUIRES(mutex) { return waited_for.empty() && periodic.empty() && !running; }

  std::optional<Job> take() WEIR_REQUIRES(mutex) {
    // Periodic work gets every eighth turn, so that it is late but never starved.
    const bool its_turn = waited_for.empty() || (!periodic.empty() && ++turns % 8 == 0);
    std::deque<Job>& from = its_turn ? periodic : waited_for;
    if (from.empty()) return std::nullopt;
    Job job = std::move(from.front());
    from.pop_front();
    running = true;
    return job;
  }

  /// Runs one job; the mutex is free meanwhile.
  bool run_one() WEIR_EXCLUDES(mutex) {
    std::optional<Job> job;
    {
      const MutexLock lock(mutex);
      job = take();
    }
    if (!job) return false;
    Then then = (*job)();
    job.reset();
    bool tell = false;
    {
      const MutexLock lock(mutex);
      running = false;
      if (then) completions.push_back(std::move(then));
      tell = !completions.empty() && !posted;
      posted = posted || tell;
      changed.notify_all();
    }
    if (tell) post_needed = true;
    return true;
  }

  bool post_needed = false;  ///< set by the thread that runs jobs, for itself
};

Syncer::Syncer(Executor& core, bool own_thread) : shared_(std::make_shared<Shared>(core)) {
  if (!own_thread) return;
  thread_ = std::thread([shared = shared_] {
    while (true) {
      {
        const MutexLock lock(shared->mutex);
        while (shared->waited_for.empty() && shared->periodic.empty() && !shared->stopping) {
          shared->changed.wait(shared->mutex);
        }
        if (shared->waited_for.empty() && shared->periodic.empty()) return;
      }
      shared->run_one();
      if (std::exchange(shared->post_needed, false)) {
        shared->core.post([shared] { run_completions(shared); });
      }
    }
  });
}

Syncer::~Syncer() { stop(); }

void Syncer::stop() {
  {
    const MutexLock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  std::vector<Then> dropped;
  std::deque<Job> unrun;
  std::deque<Job> unrun_periodic;
  const MutexLock lock(shared_->mutex);
  dropped.swap(shared_->completions);
  unrun.swap(shared_->waited_for);
  unrun_periodic.swap(shared_->periodic);
}

void Syncer::submit(Urgency urgency, Job job) {
  const MutexLock lock(shared_->mutex);
  (urgency == Urgency::kWaitedFor ? shared_->waited_for : shared_->periodic)
      .push_back(std::move(job));
  shared_->changed.notify_all();
}

bool Syncer::run_once() {
  if (!shared_->run_one()) return false;
  if (std::exchange(shared_->post_needed, false)) {
    shared_->core.post([shared = shared_] { run_completions(shared); });
  }
  return true;
}

void Syncer::run_completions(const std::shared_ptr<Shared>& shared) {
  std::vector<Then> now;
  {
    const MutexLock lock(shared->mutex);
    shared->posted = false;
    now.swap(shared->completions);
  }
  for (const Then& then : now) then();
}

void Syncer::finish_all() {
  while (true) {
    if (!thread_.joinable()) {
      while (shared_->run_one()) {
      }
    }
    {
      const MutexLock lock(shared_->mutex);
      while (!shared_->idle()) shared_->changed.wait(shared_->mutex);
      if (shared_->completions.empty()) return;
    }
    run_completions(shared_);
  }
}

}  // namespace weir::stream
