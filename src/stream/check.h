#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "file/file_system.h"
#include "segment/segment.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weir::stream {

enum class Verdict : std::uint8_t {
  kSound,
  kTorn,        ///< an unfinished write at the end of the log, which the next start cuts off
  kDamaged,     ///< part of it is lost
  kUnreadable,  ///< all of it is
};
const char* verdict_name(Verdict verdict);

/// What a check found in one file.
struct FileReport {
  std::string path;  ///< relative to the store
  Verdict verdict = Verdict::kSound;
  std::string text;  ///< what is wrong, in a sentence; empty if nothing is
  std::uint64_t file_bytes = 0;
  // Segments only.
  SequenceNumber base;
  SequenceNumber next;          ///< behind the last valid record
  std::uint64_t valid_end = 0;  ///< offset behind the last valid record
  std::vector<segment::Hole> lost;
};

struct StreamReport {
  StreamId id;
  std::string directory;
  std::string name;  ///< empty if it cannot be read anywhere
  bool in_memory = false;
  FileReport definition;
  FileReport state;  ///< empty path for Memory streams, which have none
  std::vector<FileReport> segments;
  std::vector<FileReport> cursors;
  std::vector<std::string> unknown;  ///< files that are not weir's, or were set aside
  std::int64_t messages = 0;
  std::int64_t lost_messages = 0;

  [[nodiscard]] Verdict worst() const;
};

struct StoreReport {
  bool in_use = false;  ///< a running weir holds the lock: what it writes meanwhile looks torn
  bool clean = false;   ///< the last stop was orderly
  FileReport format;
  FileReport state;
  std::vector<StreamReport> streams;  ///< ascending by id
  std::int64_t quarantined_files = 0;
  std::int64_t deleted_streams = 0;  ///< remains that the next start removes

  [[nodiscard]] Verdict worst() const;
};

/// Whether there is a store in a format this weir knows, without looking further. Errors: as
/// `check_store`.
Result<void> is_store(file::FileSystem& disk);

/// Looks through a store, every byte of every segment, and changes nothing. Works on a store that
/// is in use and on a read-only file system. Errors: kConflict (not a store), kUnsupported (newer
/// format), kNotFound (empty directory), kIo. Blocks: on disk, as long as reading it all takes.
/// `checked`, if given, is told how many bytes of segments are behind, after each segment.
Result<StoreReport> check_store(file::FileSystem& disk,
                                const std::function<void(std::int64_t bytes)>& checked = nullptr);

}  // namespace weir::stream
