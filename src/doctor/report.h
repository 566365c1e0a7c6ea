#pragma once

#include "doctor/finding.h"

#include <string>

namespace weir::doctor {

struct Summary {
  int errors = 0;
  int warnings = 0;
  int skipped = 0;
  int ok = 0;
};
Summary summary_of(const Findings& findings);

/// For people: first what is well, grouped; then, where a screen ends, what is not, each with what
/// to do; then one line that counts. `width` 0: lines are not broken.
std::string text_report(const Findings& findings, bool colour, int width);
/// For programs, as docs/doctor.md says.
std::string json_report(const Findings& findings);

}  // namespace weir::doctor
