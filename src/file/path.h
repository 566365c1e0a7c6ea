#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace weir::file {

/// Refuses what is not a path below the root: absolute, "..", ".", or with empty components.
/// "" (the root) is fine. Errors: kInvalidArgument.
Result<void> check_path(std::string_view path);

/// The directory part of a path ("" for the root) and the last component.
struct SplitPath {
  std::string_view directory;
  std::string_view name;
};
SplitPath split_path(std::string_view path);

/// The error of a failed call on `path` as every file system reports it: the text names the call,
/// the path and the reason; ENOENT and EEXIST have their own codes.
Error path_error(std::string_view doing, std::string_view path, int os_errno);

}  // namespace weir::file
