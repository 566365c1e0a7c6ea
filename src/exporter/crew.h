#pragma once

#include "base/clock.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weir::exporter {

/// A few named threads that end together, within a limit: one that hangs in a system call must not
/// keep the process from stopping.
///
/// Threads: one at a time.
class Crew {
 public:
  Crew();
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Runs `work` on a thread of its own. `work` must own all it uses: see `join`. A thread that is
  /// nicer than the others (`nice(2)`) leaves them the processor when there is not enough for all.
  void start(const std::string& name, std::function<void()> work, int niceness = 0);

  /// Waits for the threads to end, at most until `deadline` on the steady clock, then lets go of
  /// the rest. Returns how many were still running.
  std::size_t join(std::chrono::steady_clock::time_point deadline);

 private:
  struct Ended;
  struct Member {
    std::thread thread;
    std::size_t index;
  };
  std::shared_ptr<Ended> ended_;
  std::vector<Member> members_;
};

}  // namespace weir::exporter
