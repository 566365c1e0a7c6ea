#pragma once

#include "daemon/config.h"

#include <string>
#include <vector>

namespace weir::daemon {

/// What no client may have uploaded, whatever directories are open to it: the store, the
/// configuration, and every file that it names by a key `*_file`, the environment by a variable
/// `*_FILE`, or a profile of the AWS tools as a token (reliability.md §4.5). Certificates are among
/// them: people put keys into the same file. Blocks: on disk.
std::vector<std::string> denied_paths(const Config& config);

}  // namespace weir::daemon
