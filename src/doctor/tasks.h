#pragma once

#include "base/clock.h"
#include "doctor/finding.h"

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::doctor {

/// A check that may take its time. What it refers to it shares: when it does not end in time nobody
/// waits for it any more.
struct Task {
  Finding unfinished;  ///< what is said if it does not end
  std::function<Findings(const std::stop_token&)> run;
};

struct TaskLimits {
  std::size_t parallel = 8;
  Duration each = std::chrono::seconds(12);  ///< then the task is asked to stop
  Duration all = std::chrono::seconds(24);   ///< then nobody waits any more
};

struct TaskResults {
  Findings findings;       ///< in the order of the tasks
  bool abandoned = false;  ///< some are still running: end the process without waiting for them
};

/// Runs `tasks`, several at a time. Blocks: at most `limits.all` and a moment.
TaskResults run_tasks(std::vector<Task> tasks, const TaskLimits& limits);

}  // namespace weir::doctor
