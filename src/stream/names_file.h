#pragma once

#include "base/ids.h"
#include "file/file_system.h"

#include <map>
#include <string>

namespace weir::stream {

/// The names of all streams once more, outside of their directories: when no version of a
/// definition can be read, the stream keeps its name all the same (reliability.md C6).
///
/// Only a hint. Each line has its own checksum, what is missing is written again at the next start,
/// and nothing fails because of it.
///
/// Threads: one at a time. All methods block on disk.
class NamesFile {
 public:
  using Names = std::map<StreamId, std::string>;

  explicit NamesFile(file::FileSystem& disk) : disk_(disk) {}

  /// What can be read. Names of streams that are gone may be among them.
  [[nodiscard]] Names load() const;
  /// Writes exactly these, durable on return.
  void replace(const Names& names);
  /// Notes one more. It survives a killed process at once, a power cut when the kernel has written
  /// it back.
  void add(StreamId id, const std::string& name);

 private:
  file::FileSystem& disk_;
};

}  // namespace weir::stream
