#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <optional>
#include <vector>

/// How `scan` reads a file and finds the next valid record behind damage.
namespace weir::segment {

/// A stretch of a file in memory that moves along with the reader. Fixed size.
class Window {
 public:
  static constexpr std::size_t kBytes = std::size_t{256} * 1024;

  Window(file::File& file, std::uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  /// What is in memory from `offset` on: at least `count` bytes (at most kBytes), unless the file
  /// ends before. Valid until the next call. Errors: kIo.
  Result<Bytes> view(std::uint64_t offset, std::size_t count);
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }
  [[nodiscard]] file::File& file() const { return file_; }

 private:
  file::File& file_;
  std::uint64_t file_bytes_;
  ByteBuffer buffer_;
  std::uint64_t begin_ = 0;
};

/// The effect that `zeros` zero bytes have on a running CRC-32C. Logarithmic in `zeros`.
std::uint32_t shift_crc32c(std::uint32_t crc, std::uint64_t zeros);

/// Checksums of a file's beginning at every 4 KiB, from which that of any stretch follows without
/// reading it. Built by the first question, with one pass over the file.
class PrefixChecksums {
 public:
  explicit PrefixChecksums(Window& window) : window_(window) {}
  /// `crc32c(bytes [offset, offset + count), seed)`. Requires: inside the file. Errors: kIo.
  Result<std::uint32_t> of(std::uint64_t offset, std::uint64_t count, std::uint32_t seed);

 private:
  static constexpr std::size_t kStrideBytes = 4096;
  Result<void> build();
  Result<std::uint32_t> prefix(std::uint64_t end);

  Window& window_;
  std::vector<std::uint32_t> at_stride_;
};

/// A valid record somewhere in the file.
struct Located {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< overhead included
  SequenceNumber sequence;
  std::int64_t append_ms = 0;
};

/// Looks for valid records in one segment file.
class RecordSearch {
 public:
  RecordSearch(Window& window, std::uint32_t seed)
      : window_(window), prefixes_(window), seed_(seed) {}

  /// The record at `offset`, if it is valid and numbered `expected`.
  Result<std::optional<Located>> at(std::uint64_t offset, SequenceNumber expected);
  /// The first valid record at or behind `offset` that is numbered `expected` or higher, where the
  /// record at `offset` is known to be invalid. Linear in the rest of the file.
  Result<std::optional<Located>> behind(std::uint64_t offset, SequenceNumber expected);
  /// Whether there is nothing but zeros from `offset` to the end of the file.
  Result<bool> only_zeros_from(std::uint64_t offset);

 private:
  struct Head {
    std::uint32_t crc;
    std::uint32_t length;
    std::int64_t sequence;
    std::int64_t append_ms;
  };
  Result<std::optional<Head>> head_at(std::uint64_t offset);
  Result<std::optional<Located>> where_length_points(std::uint64_t offset, SequenceNumber expected);
  /// The checksum of a candidate, at a cost that does not depend on its length.
  Result<bool> checksum_matches(std::uint64_t offset, const Head& head);

  Window& window_;
  PrefixChecksums prefixes_;
  std::uint32_t seed_;
};

}  // namespace weir::segment
