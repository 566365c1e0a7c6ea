#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "model/definition.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::stream {

/// Takes the records of a read one by one, in order.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  /// `payload` is valid during the call only. Returns false to stop *before* taking this record.
  virtual bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) = 0;
};

enum class ReadMode : std::uint8_t {
  kCachedOnly,  ///< stop with `would_block` where the disk would be needed
  kMayBlock,
};

struct ReadResult {
  std::int64_t records = 0;
  SequenceNumber next;       ///< the number to go on with; beyond lost ones if a hole was crossed
  bool would_block = false;  ///< kCachedOnly stopped early; nothing from `next` on was read
};

/// The readable side of one stream's log. Shared with readers and exporters; outlives the stream's
/// deletion (reads then fail with kNotFound). Threads: any, all methods.
class LogReader {
 public:
  virtual ~LogReader() = default;

  /// The oldest stored number; equals `visible_end()` when empty.
  [[nodiscard]] virtual SequenceNumber oldest() const = 0;
  /// Local readers see numbers below this. Never goes back.
  [[nodiscard]] virtual SequenceNumber visible_end() const = 0;
  /// Exporters see numbers below this: on stable storage (Memory streams: stored). `<= visible`.
  [[nodiscard]] virtual SequenceNumber durable_end() const = 0;

  /// Reads up to `count` records from `max(from, oldest)` on, below `end` (a value that one of the
  /// two functions above returned). Numbers lost to damage are skipped.
  /// Errors: kCorrupt, kIo (the damaged records at `from` cannot be skipped), kNotFound (deleted).
  /// Blocks: on disk with kMayBlock only.
  virtual Result<ReadResult> read(SequenceNumber from, SequenceNumber end, std::int64_t count,
                                  ReadMode mode, RecordSink& sink) = 0;

  /// Stored bytes (overhead included) from `from` on, to within a segment index stride.
  [[nodiscard]] virtual std::int64_t bytes_from(SequenceNumber from) const = 0;
  /// Append time of the oldest stored message at or after `from` as far as it is known without
  /// reading from disk, else 0.
  [[nodiscard]] virtual std::int64_t append_ms_near(SequenceNumber from) const = 0;
};

/// Where one export stands. Saved in the stream's directory.
struct Cursor {
  std::string identifier;
  model::ExportType type = model::ExportType::kHttp;
  SequenceNumber next;  ///< everything below is delivered or deliberately dropped
  std::int64_t start_sequence_number = 0;  ///< the configured start it was last positioned by
  std::int64_t exported_bytes = 0;
  std::int64_t exported_messages = 0;
  std::int64_t last_export_ms = 0;
  std::string error_message;
  bool paused = false;  ///< by a person, until one resumes it
};

/// The saved cursors of one stream. Each has two checksummed slots in one preallocated file,
/// written alternately in place, so that saving works on a full disk (reliability.md F3).
/// Threads: any; one caller at a time per identifier. Memory streams keep theirs in memory.
class CursorStore {
 public:
  virtual ~CursorStore() = default;
  /// All readable cursors. One that is damaged in both slots is missing here (C7).
  virtual std::vector<Cursor> load() = 0;
  /// Durable on return. Errors: kIo; kNotFound once the stream is deleted. Blocks: on disk.
  virtual Result<void> save(const Cursor& cursor) = 0;
  /// Removes the position and the note of an export.
  virtual Result<void> remove(const std::string& identifier) = 0;

  /// What an export wants to remember beside its position, for instance an upload under way; ""
  /// if nothing. Does not block.
  virtual std::string note(const std::string& identifier) = 0;
  /// Replaces it; as durable as a position. Errors: kInvalidArgument (more than `kNoteBytesMax`),
  /// kIo; kNotFound once the stream is deleted. Blocks: on disk.
  virtual Result<void> save_note(const std::string& identifier, const std::string& note) = 0;
};

inline constexpr std::size_t kNoteBytesMax = 3'500;

/// One stream: definition, log, cursors. Threads: core only, except what its parts say.
class Stream {
 public:
  virtual ~Stream() = default;
  [[nodiscard]] virtual StreamId id() const = 0;
  [[nodiscard]] virtual const model::StreamDefinition& definition() const = 0;
  [[nodiscard]] virtual model::StorageStatus storage_status() const = 0;
  [[nodiscard]] virtual const std::shared_ptr<LogReader>& log() const = 0;
  [[nodiscard]] virtual const std::shared_ptr<CursorStore>& cursors() const = 0;
  /// Why appends are refused at present ("fsync failed ..."), or what was lost; empty if sound.
  [[nodiscard]] virtual std::string fault() const = 0;
  /// Messages lost to damage since the stream was opened.
  [[nodiscard]] virtual std::int64_t lost_messages() const = 0;
};

}  // namespace weir::stream
