#pragma once

#include <string>

namespace weir::daemon {

/// `weir fsck`: reads a store, changes nothing, and says what is sound, torn or damaged, and where.
/// Returns the exit status: 0 sound (a torn end is sound: the next start cuts it off), 1 damaged or
/// not readable. Blocks: on disk, as long as reading everything takes.
int fsck(const std::string& directory, bool as_json);

}  // namespace weir::daemon
