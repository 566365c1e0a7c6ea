#pragma once

#include "doctor/finding.h"
#include "doctor/running.h"
#include "doctor/subject.h"

/// All checks of `weir doctor`, one after the other and, where they wait, at once.
namespace weir::doctor {

struct Examination {
  Findings findings;
  /// A check hangs (a disk, a name server): end the process without waiting for its threads.
  bool abandoned = false;
};

/// `running` is what `ask_running` found. Blocks: less than 30 s in all.
Examination examine(const Subject& subject, const RunningFacts& running);

}  // namespace weir::doctor
