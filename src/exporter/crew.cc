#include "exporter/crew.h"

#include "base/mutex.h"

#include <pthread.h>
#include <sys/resource.h>
#include <utility>

namespace weir::exporter {

struct Crew::Ended {
  Mutex mutex;
  CondVar changed;
  std::vector<bool> ended WEIR_GUARDED_BY(mutex);
  std::size_t running WEIR_GUARDED_BY(mutex) = 0;
};

Crew::Crew() : ended_(std::make_shared<Ended>()) {}
Crew::~Crew() { join(std::chrono::steady_clock::now() + std::chrono::hours(1)); }

void Crew::start(const std::string& name, std::function<void()> work, int niceness) {
  std::size_t index = 0;
  {
    const MutexLock lock(ended_->mutex);
    index = ended_->ended.size();
    ended_->ended.push_back(false);
    ++ended_->running;
  }
  std::thread thread([ended = ended_, index, niceness, work = std::move(work)]() mutable {
    // On Linux these are of the calling thread alone, and everybody may be nicer.
    if (niceness > 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + niceness);
    work();
    work = nullptr;  // lets go of what it owns before anybody is told
    const MutexLock lock(ended->mutex);
    ended->ended[index] = true;
    --ended->running;
    ended->changed.notify_all();
  });
  constexpr std::size_t kNameBytesMax = 15;  // the kernel's limit
  pthread_setname_np(thread.native_handle(), name.substr(0, kNameBytesMax).c_str());
  members_.push_back({std::move(thread), index});
}

std::size_t Crew::join(std::chrono::steady_clock::time_point deadline) {
  std::vector<bool> ended;
  {
    const MutexLock lock(ended_->mutex);
    while (ended_->running > 0 && std::chrono::steady_clock::now() < deadline) {
      ended_->changed.wait_until(ended_->mutex, deadline);
    }
    ended = ended_->ended;
  }
  std::size_t left = 0;
  for (Member& member : members_) {
    if (ended[member.index]) {
      member.thread.join();
    } else {
      member.thread.detach();
      ++left;
    }
  }
  members_.clear();
  return left;
}

}  // namespace weir::exporter
