#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// One segment file: a header and records that are only ever appended. The layout is specified
/// byte by byte in docs/segment-format.md.
namespace weir::segment {

inline constexpr std::size_t kHeaderBytes = 64;
inline constexpr std::size_t kRecordOverheadBytes = 24;  ///< what a record costs beside its payload
inline constexpr std::uint32_t kPayloadBytesMax = 1U << 30U;

/// Which segment this is. Its checksum seeds the checksum of every record, so that a valid record
/// of another segment, also of an earlier stream in the same blocks, is not valid here.
struct Header {
  std::uint64_t stream_identity = 0;  ///< random, drawn when the stream was created
  SequenceNumber base;                ///< number of the first record
  std::int64_t created_ms = 0;
};

/// A stored message; `payload` points into the buffer it was decoded from.
struct Record {
  SequenceNumber sequence;
  std::int64_t append_ms = 0;
  Bytes payload;
};

void encode_header(const Header& header, std::span<std::byte, kHeaderBytes> out);
/// Errors: kCorrupt; kUnsupported for a newer version.
Result<Header> decode_header(Bytes from);
/// What record checksums of this segment start from.
std::uint32_t record_seed(const Header& header);

/// Writes one record's 24 bytes in front of `payload`.
void encode_record_head(std::uint32_t seed, SequenceNumber sequence, std::int64_t append_ms,
                        Bytes payload, std::span<std::byte, kRecordOverheadBytes> out);

/// What stands at the start of some bytes of a segment.
struct Decoded {
  enum class Kind : std::uint8_t {
    kRecord,    ///< valid, numbered as expected
    kNeedMore,  ///< a plausible record of `bytes` bytes, of which not all were given
    kDamaged,   ///< anything else: zeros, garbage, a wrong number, a wrong checksum
  };
  Kind kind = Kind::kDamaged;
  Record record;
  std::size_t bytes = 0;  ///< size of the whole record, overhead included
};
/// Pure. `at` begins at a record boundary; `expected` is the number the record must have.
Decoded decode_record(Bytes at, std::uint32_t seed, SequenceNumber expected);

/// Appends to one segment file. The only writer of its file.
///
/// Lifetime: keeps the file open through `file`. Threads: one at a time; readers may read below
/// `end_offset()` concurrently.
class Writer {
 public:
  struct Entry {
    std::int64_t append_ms = 0;
    Bytes payload;
  };

  /// Creates the file, writes and syncs the header. The caller syncs the directory before the
  /// first acknowledgement that depends on it.
  static Result<Writer> create(file::FileSystem& files, std::string_view path,
                               const Header& header);
  /// Goes on behind `end_offset`, where the next record is numbered `next`. Whatever lies behind
  /// is cut off first, unless it is known to be zeros written ahead (`zeros_until`).
  static Result<Writer> resume(std::shared_ptr<file::File> file, const Header& header,
                               std::uint64_t end_offset, SequenceNumber next);

  /// How large the file may become. Large groups then have room set aside on the disk for some
  /// megabytes at a time, which spares the file system work for every page. 0 = never, the default.
  void expect_size(std::uint64_t bytes);

  /// Whether one small group after the other is expected while many other files are written too.
  /// Then zeros are written a few pages ahead and groups are copied over them
  /// (`File::expect_small_writes`): of a file that the processor's caches have forgotten, a write
  /// call costs several times the copy. No by default.
  void expect_small_groups(bool expected);

  /// Appends `entries` as consecutive records. One write call per group (two copies at most for
  /// small payloads, none for large ones).
  /// Errors: kIo; the file was cut back to its old end. If even that failed, `usable()` turns
  /// false and the caller starts another segment.
  Result<void> append(std::span<const Entry> entries);

  /// Writes zeros behind the end until `ahead_bytes` are ready, so that syncing what is appended
  /// next does not have to change the file's size. Failure is not an error: nothing depends on it.
  void write_zeros_ahead(std::uint64_t ahead_bytes);
  /// How many zeros lie ready behind the end.
  [[nodiscard]] std::uint64_t zeros_ready() const;

  /// fdatasync. Never call again after an error.
  Result<void> sync();
  /// Cuts off zeros written ahead and gives back room set aside. The caller syncs.
  Result<void> cut_zeros();

  [[nodiscard]] bool usable() const;
  [[nodiscard]] const Header& header() const;
  [[nodiscard]] const std::shared_ptr<file::File>& file() const;
  [[nodiscard]] std::uint64_t end_offset() const;
  [[nodiscard]] SequenceNumber next() const;

  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  ~Writer();

 private:
  Writer();
  struct State;
  std::unique_ptr<State> state_;
};

/// A stretch of bytes that should have held records and does not.
struct Hole {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  SequenceNumber first_lost;  ///< numbers [first_lost, first_after) are gone
  SequenceNumber first_after;
};

/// An entry of the sparse index: where the record `sequence` starts.
struct IndexEntry {
  SequenceNumber sequence;
  std::uint64_t offset = 0;
};
inline constexpr std::uint64_t kIndexStrideBytes = std::uint64_t{64} * 1024;

/// What a scan of one segment file found.
struct Scan {
  Header header;
  std::uint64_t valid_end = kHeaderBytes;  ///< behind the last valid record
  SequenceNumber next;                     ///< number behind the last valid record
  std::uint64_t file_bytes = 0;
  std::uint64_t record_bytes = 0;     ///< sum over valid records, overhead included
  std::int64_t newest_append_ms = 0;  ///< the largest append time seen
  bool torn_tail = false;             ///< bytes other than zeros behind valid_end
  std::vector<Hole> holes;            ///< damage with valid records behind it
  std::vector<IndexEntry> index;      ///< one entry per kIndexStrideBytes at most
};

/// Reads a whole segment file with a fixed buffer and tells what is in it. At the first invalid
/// record it looks for a later valid one with a higher number: none means a torn tail, some means
/// a hole (design.md §7). Changes nothing. `stream_identity` guards against foreign files.
/// Errors: kCorrupt (header unreadable or foreign), kUnsupported (newer version), kIo.
/// Blocks: on disk, up to the whole file.
Result<Scan> scan(file::File& file, std::uint64_t stream_identity);

/// Where a valid record was found.
struct RecordPlace {
  SequenceNumber sequence;
  std::int64_t append_ms = 0;
  std::uint64_t payload_offset = 0;
  std::uint64_t payload_bytes = 0;
};
/// Called for each valid record, in the order of the file. An error ends the scan with it.
using RecordVisitor = std::function<Result<void>(const RecordPlace&)>;

/// The same, telling of every record that is valid.
Result<Scan> scan(file::File& file, std::uint64_t stream_identity, const RecordVisitor& visit);
/// The same for a file whose header is damaged: `header` says what it was.
Result<Scan> scan_as(file::File& file, const Header& header, std::uint32_t seed,
                     const RecordVisitor& visit);

/// What the checksums of a file's records start from, found out from its first record, when the
/// header that says so is damaged. `base` is the first record's number, from the file's name.
/// Errors: kCorrupt (the first two records do not tell), kIo.
Result<std::uint32_t> find_seed(file::File& file, SequenceNumber base);

}  // namespace weir::segment
