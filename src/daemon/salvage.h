#pragma once

#include <string>

namespace weir::daemon {

/// `weir fsck DIR --salvage OUT`: writes every readable message of every stream of the store to
/// the new directory `out`, in the form of `weir sub --json`, with a list of what is in it. The
/// store stays untouched. Returns the exit status: 0 done (also if messages are lost), 1 not.
/// Blocks: on disk.
int salvage(const std::string& directory, const std::string& out, bool as_json);

}  // namespace weir::daemon
