#pragma once

#include "file/file_system.h"

#include <memory>
#include <string>

namespace weir::file {

/// The disk below the directory `root`, which must exist. Every path is opened relative to a
/// descriptor of that directory, so renaming it later changes nothing. Files are created with mode
/// 0600, directories with 0700; what is not a regular file is refused, never waited for.
/// Errors: kNotFound, kInvalidArgument (not a directory), kIo. Blocks: on disk.
Result<std::unique_ptr<FileSystem>> open_posix(const std::string& root);

}  // namespace weir::file
