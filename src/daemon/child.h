#pragma once

#include "base/clock.h"

#include <cstddef>
#include <string>
#include <vector>

namespace weir::daemon {

/// What a program printed on standard output, whatever its exit status.
struct ChildOutput {
  std::string text;
  std::string complaint;  ///< why there is less than all of it; empty: there is all
};

/// Runs a program (a path, or a name that is looked for) without a shell, with nothing as its input
/// and standard error; ends it and its children after `timeout`, or when it prints more than
/// `bytes_max`. Blocks: until then.
ChildOutput run_child(const std::vector<std::string>& arguments, Duration timeout,
                      std::size_t bytes_max);

}  // namespace weir::daemon
