#pragma once

#include <string>

namespace weir::daemon {

/// `weir fsck`: reads a store, changes nothing, and says what is sound, torn or damaged, and where.
/// Returns the exit status: 0 sound (a torn end is sound: the next start cuts it off), 1 damaged or
/// not readable. Blocks: on disk, as long as reading everything takes.
int fsck(const std::string& directory, bool as_json);

/// `weir fsck --repair`: mends what can be mended, moves what cannot be read into a directory in
/// the quarantine, deletes nothing and says all it does. Returns the exit status: 0 sound now, 1
/// not. Blocks: likewise.
int repair(const std::string& directory, bool as_json);

}  // namespace weir::daemon
