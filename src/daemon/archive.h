#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// One file of an archive. The name has at most 99 bytes.
struct ArchiveFile {
  std::string name;
  std::string content;
};

/// A .tar.gz of these files, in this order, for whoever unpacks it alone: mode 0600, owner 0,
/// changed at `seconds` since 1970. The format is ustar, which every tar reads; a library for it
/// would be one more dependency for two hundred lines of format that has not changed since 1988.
/// Errors: kInvalidArgument (a name), kIo (no memory).
Result<std::string> tar_gz(const std::vector<ArchiveFile>& files, std::int64_t seconds);

}  // namespace weir::daemon
