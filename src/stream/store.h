#pragma once

#include "base/result.h"
#include "file/file_system.h"
#include "stream/recovery.h"
#include "stream/slot_file.h"
#include "stream/states.h"

#include <memory>
#include <optional>
#include <string>

namespace weir::stream {

/// The store as a directory: whose it is, which format, how the last run ended, which ids are
/// free. Threads: core, `reserve_ids` the syncer; `recovered` and `close` only while
/// the syncer has nothing to do.
class Store {
 public:
  /// Locks the directory and makes sure that it is ours, creating what is missing.
  /// Errors (S1): kUnavailable (locked), kConflict (foreign), kUnsupported (newer), kIo. Blocks.
  static Result<std::unique_ptr<Store>> open(file::FileSystem& disk, std::string boot_id);

  [[nodiscard]] const LastRun& last_run() const { return last_run_; }
  [[nodiscard]] std::uint64_t epoch() const { return state_.epoch; }

  /// The streams are recovered: from now on the log is the truth while this kernel runs. If some
  /// are left as they were (`complete` false), the next start must not take them for recovered:
  /// the stop of this run will not count as orderly, nor, after a power cut, its kernel as known.
  Result<void> recovered(bool complete);
  /// Ids up to here are in use.
  void saw_id(StreamId id);
  /// The next id, never given before.
  StreamId take_id();
  /// Makes it durable that `taken` and all ids before it are taken. Blocks. Threads: the syncer.
  Result<void> reserve_ids(StreamId taken);
  /// The stop is orderly. Blocks.
  Result<void> close();

  /// Refuses what is not a store of ours, without changing anything.
  static Result<void> check_format(file::FileSystem& disk);
  /// The FORMAT file is there and undamaged.
  static bool format_is_sound(file::FileSystem& disk);

 private:
  Store(file::FileSystem& disk, std::unique_ptr<file::Lock> lock)
      : disk_(disk), lock_(std::move(lock)) {}
  Result<void> clear_name(std::string_view name);
  Result<void> make_directories();
  void load_state(std::string boot_id);
  Result<void> write_state();

  file::FileSystem& disk_;
  const std::unique_ptr<file::Lock> lock_;
  StoreState state_;
  std::optional<SlotWriter> slots_;
  LastRun last_run_;
  std::string boot_id_;
  bool complete_ = true;       ///< all streams were recovered
  std::uint64_t next_id_ = 1;  ///< core's; `state_.next_id` is a bound above it
};

}  // namespace weir::stream
