#pragma once

#include "base/result.h"
#include "file/file_system.h"

#include <string>

namespace weir::stream {

/// Whether opening failed because the name belongs to something that is no file: a directory, a
/// link, a pipe or a socket.
bool names_no_file(const Error& error);

/// Renames such a thing to `<path>.bad`, so that the file can be written again and nothing that a
/// person put there is lost. A name that is taken already gets a number. Errors: kIo. Blocks.
Result<void> move_aside(file::FileSystem& disk, const std::string& path);

}  // namespace weir::stream
