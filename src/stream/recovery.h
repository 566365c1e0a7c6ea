#pragma once

#include "file/file_system.h"
#include "stream/cursor_files.h"
#include "stream/definition_file.h"
#include "stream/log.h"
#include "stream/slot_file.h"
#include "stream/states.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// What is left of one File stream after the store was opened again (design.md §7,
/// reliability.md 2.2, 2.5, 2.6).
namespace weir::stream {

/// How the last run ended.
struct LastRun {
  bool clean = false;             ///< orderly; ends are as stored
  bool kernel_restarted = false;  ///< what was not synced may be gone
  /// That is known, not only feared: nothing of the old page cache is left.
  bool restart_certain = false;
  std::uint64_t epoch = 0;  ///< of the store, this restart included
};

struct RecoveredStream {
  std::shared_ptr<Log> log;
  std::shared_ptr<CursorFiles> cursors;
  StreamState state;
  SlotContent state_slot;      ///< where `state` was found
  bool state_durable = false;  ///< not only in the page cache
  /// The next message gets at least this number; more than the log's end is a jump.
  SequenceNumber next_at_least;
  bool seal_last = false;  ///< nothing may be appended to the last segment
  /// Not known to be on stable storage, oldest first.
  std::vector<std::shared_ptr<Segment>> unsynced;
  std::string fault;  ///< why the stream can only be read, if so
};

/// Recovers the stream in `directory`. Idempotent: may be cut off anywhere and run again. Needs no
/// free space. Errors: kIo (the directory cannot be listed), kUnsupported. Blocks: on disk; scans
/// the last segment at most, after a power cut also those that were not synced.
Result<RecoveredStream> recover_stream(file::FileSystem& disk, const std::string& directory,
                                       const StoredDefinition& stored, const LastRun& last_run,
                                       std::shared_ptr<Log::Shared> shared);

}  // namespace weir::stream
