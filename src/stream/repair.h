#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "file/file_system.h"
#include "stream/check.h"

#include <functional>
#include <string>

/// Mends a store that no weir uses, beyond what every start does: afterwards a check finds it
/// sound, and nothing that was on the disk is gone.
namespace weir::stream {

struct RepairReport {
  StoreReport before;
  StoreReport after;
  std::int64_t changes = 0;
  std::string quarantine;  ///< directory in the store with what was set aside; "" = nothing was
};

/// What `weir fsck --repair` does: unfinished writes are cut off, damage is cut out, so that what
/// stands before and behind it is served; definitions and state are written again from what is
/// left. Whatever is cut, replaced or cannot be read is set aside first, in a directory of its own
/// in the quarantine, which nothing but a person empties. Recovery itself is what every start does
/// (recovery.h); this prepares for it and cleans up behind it. May be cut off anywhere and run
/// again.
///
/// `say` hears a sentence for each change. Errors: as `check_store`, kUnavailable (a weir uses the
/// store; nothing was changed), kIo. Blocks: on disk, as long as reading all of it twice takes.
Result<RepairReport> repair_store(file::FileSystem& disk, Clock& clock, const std::string& boot_id,
                                  const std::function<void(const std::string&)>& say);

}  // namespace weir::stream
