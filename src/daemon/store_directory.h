#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace weir::daemon {

/// Makes sure that the directory of the store can be used.
///
/// `must_exist`: refuse if it is missing; else it is created, parents too, mode 0700.
/// Returns warnings to log (others can read it, it belongs to somebody else).
/// Errors: kNotFound, kInvalidArgument, kIo; each says what to do. Blocks: on disk.
Result<std::vector<std::string>> prepare_store_directory(const std::string& path, bool must_exist);

}  // namespace weir::daemon
