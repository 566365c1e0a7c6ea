#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::file {

/// Windows open at the same time in this process, so that the memory they keep resident is bounded
/// (a few pages each). Further ones stay closed.
inline constexpr int kMappedWindowsMax = 1'024;

/// A stretch of an open file in memory, so that small pieces are written by copying them: no system
/// call, no look-up of the file's kernel structures. What is copied is in the page cache at once,
/// as with `pwrite`, and is synced with the file.
///
/// A copy that the kernel cannot take (the file was cut, its disk failed) raises SIGBUS, which the
/// window turns into an ordinary `false`; signals that do not come from a window end the process
/// as ever. Threads: one at a time.
class MappedWindow {
 public:
  MappedWindow() = default;
  ~MappedWindow() { close(); }
  MappedWindow(const MappedWindow&) = delete;
  MappedWindow& operator=(const MappedWindow&) = delete;

  /// Opens the window over bytes [offset, offset + bytes) of `descriptor`, which exist already,
  /// instead of where it was before. Where that cannot be done it stays closed.
  void open(int descriptor, std::uint64_t offset, std::uint64_t bytes);
  void close();

  [[nodiscard]] bool covers(std::uint64_t offset, std::uint64_t bytes) const {
    return offset >= begin_ && offset < end_ && bytes <= end_ - offset;
  }

  /// Copies `pieces` one behind the other to `offset`, which the window covers. False: any part may
  /// have been written, and the window is closed; a `pwrite` tells why.
  bool write(std::uint64_t offset, std::span<const Bytes> pieces);

 private:
  std::byte* memory_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::uint64_t mapped_offset_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace weir::file
