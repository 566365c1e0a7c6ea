#pragma once

#include "daemon/config.h"

#include <string>
#include <vector>

namespace weir::daemon {

/// What no client may have uploaded, whatever directories are open to it: the store, the
/// configuration, and every file that holds a secret (reliability.md §4.5). Pure.
std::vector<std::string> denied_paths(const Config& config);

}  // namespace weir::daemon
