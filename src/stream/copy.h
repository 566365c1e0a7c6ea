#pragma once

#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <memory>
#include <string>

namespace weir::stream {

/// The copy of a part of a file, not synced yet.
struct Copied {
  std::unique_ptr<file::File> file;
  std::uint64_t bytes = 0;  ///< fewer than asked for where the file ends before
};

/// Copies `bytes` bytes at `offset` of `from` into the new file `to`. Errors: those of the file
/// system; then part of `to` may be there. Blocks.
Result<Copied> copy_part(file::FileSystem& disk, const std::string& from, std::uint64_t offset,
                         std::uint64_t bytes, const std::string& to);

}  // namespace weir::stream
