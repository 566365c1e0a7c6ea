#pragma once

#include "base/executor.h"
#include "base/mutex.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace weir::stream {

/// Runs file work that may be slow on one thread of its own, in order, and what is to happen
/// afterwards on the core thread. Work that somebody waits for goes before periodic work.
///
/// Threads: core, except what the worker thread does itself.
class Syncer {
 public:
  using Then = std::function<void()>;
  /// Runs on the syncer thread; what it returns runs on core.
  using Job = std::function<Then()>;
  enum class Urgency : std::uint8_t { kWaitedFor, kPeriodic };

  /// Without a thread, tests run the jobs by `run_once`.
  Syncer(Executor& core, bool own_thread);
  /// Finishes what is queued. What was to happen afterwards and has not is dropped.
  ~Syncer();
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  void submit(Urgency urgency, Job job);
  /// Runs one job on the calling thread; false if there is none.
  bool run_once();
  /// Waits until no job is left and runs, here and now, what was to happen afterwards, until
  /// nothing follows any more. Blocks.
  void finish_all();
  /// Ends the thread once the queue is empty; nothing that was to happen afterwards does.
  void stop();

 private:
  struct Shared;
  static void run_completions(const std::shared_ptr<Shared>& shared);

  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace weir::stream
