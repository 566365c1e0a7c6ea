#pragma once

#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <optional>
#include <string>

namespace weir::destination::file_export {

/// How much of an export's active file is whole: everything beyond `bytes` was never acknowledged.
struct Position {
  std::string file;  ///< the active file's final name; "" = none
  std::uint64_t bytes = 0;
  std::int64_t opened_wall_ms = 0;
};

/// Keeps one `Position` in a small file with two checksummed slots that are written in turn and in
/// place: one of them is always readable, and saving works on a full disk. Threads: one at a time.
class PositionStore {
 public:
  /// Reads the file, or creates it. None when it is new or neither slot is readable.
  /// Errors: kIo. Blocks.
  static Result<PositionStore> open(weir::file::FileSystem& files, std::string name);

  [[nodiscard]] const std::optional<Position>& last() const { return last_; }

  /// Durable on return. After an error either the old or the new position may be what a restart
  /// finds; calling again repeats the same slot. Blocks.
  Result<void> save(weir::file::FileSystem& files, const Position& position);

 private:
  explicit PositionStore(std::string name) : name_(std::move(name)) {}

  std::string name_;
  std::optional<Position> last_;
  std::uint64_t generation_ = 0;
  unsigned next_slot_ = 0;
};

}  // namespace weir::destination::file_export
