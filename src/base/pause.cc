#include "base/pause.h"

#include <condition_variable>
#include <mutex>

namespace weir {

void pause_for(Duration time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  // It guards nothing: only the time or the token ends the wait.
  // cppcheck-suppress localMutex
  std::unique_lock<std::mutex> lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace weir
