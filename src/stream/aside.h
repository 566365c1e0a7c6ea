#pragma once

#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <string>

namespace weir::stream {

/// A directory of its own in the quarantine, for one repair. Unlike what a running weir sets aside
/// there, it is never emptied to make room. Made when the first thing goes there. Blocks.
class Aside {
 public:
  explicit Aside(file::FileSystem& disk) : disk_(disk) {}

  /// Moves a file or directory; durable on return. The name tells where it was.
  Result<std::string> move(const std::string& path);
  /// Copies `bytes` bytes at `offset`, fewer if the file ends before; durable on return.
  Result<std::string> copy(const std::string& path, std::uint64_t offset, std::uint64_t bytes);
  /// "" as long as nothing was set aside.
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  Result<std::string> new_place(const std::string& path);

  file::FileSystem& disk_;
  std::string directory_;
};

}  // namespace weir::stream
