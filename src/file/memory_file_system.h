#pragma once

#include "file/file_system.h"

#include <cstdint>
#include <limits>
#include <memory>

namespace weir::file {

/// Files that live as long as the process does, for Memory streams. Content is kept in pieces of
/// up to 64 KiB, so that a large file is never copied to grow and a small one costs little more
/// than its bytes; memory is given back when a file is cut or removed and no longer open.
///
/// `bytes_max` bounds the content of all files together; a write beyond it fails with ENOSPC.
/// `try_read_at` never has to wait. `sync` and `sync_directory` do nothing.
std::unique_ptr<FileSystem> make_memory(
    std::uint64_t bytes_max = std::numeric_limits<std::uint64_t>::max());

}  // namespace weir::file
