#include "stream/misplaced.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::stream {
namespace {

/// More than this often nobody puts a directory where a file belongs.
constexpr int kNamesMax = 100;

}  // namespace

bool names_no_file(const Error& error) {
  constexpr std::array kNoFile{EISDIR, ELOOP, EINVAL, ENXIO};
  return std::find(kNoFile.begin(), kNoFile.end(), error.os_errno) != kNoFile.end();
}

Result<void> move_aside(file::FileSystem& disk, const std::string& path) {
  Result<void> moved;
  for (int number = 0; number < kNamesMax; ++number) {
    std::string name = path + ".bad";
    if (number > 0) name += "." + std::to_string(number);
    moved = disk.rename(path, name);
    const bool taken =
        !moved && (moved.error().code == Errc::kAlreadyExists || moved.error().os_errno == ENOTDIR);
    if (!taken) return moved;
  }
  return moved;
}

}  // namespace weir::stream
