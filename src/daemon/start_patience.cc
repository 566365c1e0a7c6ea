#include "daemon/start_patience.h"

#include "base/mutex.h"

#include <chrono>
#include <cstdint>
#include <sys/resource.h>
#include <thread>

namespace weir::daemon {
namespace {

// Asked for with each look: so that one lost message does no harm.
constexpr int kLooksAskedFor = 4;

std::int64_t processor_usec(int who) {
  rusage used{};
  ::getrusage(who, &used);
  return (std::int64_t{used.ru_utime.tv_sec} + used.ru_stime.tv_sec) * 1'000'000 +
         used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

// What the process has done, without the thread that asks.
struct Work {
  std::int64_t processor_usec = 0;
  std::int64_t disk_blocks = 0;

  static Work so_far() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return {daemon::processor_usec(RUSAGE_SELF) - daemon::processor_usec(RUSAGE_THREAD),
            std::int64_t{used.ru_inblock} + used.ru_oublock};
  }
  [[nodiscard]] bool goes_on_since(const Work& before) const {
    // Less than this is what threads need that only wait.
    constexpr std::int64_t kIdleUsec = 1'000;
    return processor_usec - before.processor_usec > kIdleUsec || disk_blocks > before.disk_blocks;
  }
};

}  // namespace

struct StartPatience::State {
  State(const ServiceNotifier& told, Duration look_interval)
      : notifier(told), interval(look_interval) {}

  const ServiceNotifier& notifier;
  const Duration interval;
  Mutex mutex;
  CondVar changed;
  bool started WEIR_GUARDED_BY(mutex) = false;
  std::thread thread;

  // Whether weir is still starting after one interval.
  bool wait() {
    const auto deadline = std::chrono::steady_clock::now() + interval;
    const MutexLock lock(mutex);
    while (!started && std::chrono::steady_clock::now() < deadline) {
      changed.wait_until(mutex, deadline);
    }
    return !started;
  }

  void run() {
    Work before = Work::so_far();
    while (wait()) {
      const Work now = Work::so_far();
      if (now.goes_on_since(before)) {
        notifier.extend(interval * kLooksAskedFor, "Starting: reading the store");
      }
      before = now;
    }
  }
};

StartPatience::StartPatience(const ServiceNotifier& notifier, Duration look_interval) {
  if (!notifier.listening()) return;
  state_ = std::make_unique<State>(notifier, look_interval);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

StartPatience::~StartPatience() {
  if (!state_) return;
  {
    const MutexLock lock(state_->mutex);
    state_->started = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

}  // namespace weir::daemon
