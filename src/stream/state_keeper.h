#pragma once

#include "base/result.h"
#include "file/file_system.h"
#include "stream/slot_file.h"
#include "stream/states.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace weir::stream {

/// The state file of one stream. Writing goes to the page cache at once, which a process crash
/// survives; what a power cut must survive is synced elsewhere and confirmed by `synced`.
/// Threads: core; the static function any.
class StateKeeper {
 public:
  /// `durable`: what was found is on stable storage.
  StateKeeper(file::FileSystem& disk, std::string path, StreamState state, const SlotContent& slot,
              bool durable);

  StreamState& state() { return state_; }
  /// Errors: kIo; nothing is lost, the last durable state stays readable.
  Result<std::uint64_t> write();
  /// The file was synced, beginning after `generation` had been written.
  void synced(std::uint64_t generation) {
    slots_.synced(generation);
    confirmed_ = std::max(confirmed_, generation);
  }
  /// The newest generation that was written.
  [[nodiscard]] std::uint64_t generation() const { return slots_.generation(); }
  /// All that was written is on stable storage.
  [[nodiscard]] bool durable() const { return confirmed_ >= slots_.generation(); }
  [[nodiscard]] const std::string& path() const { return path_; }

  static Result<void> sync(file::FileSystem& disk, const std::string& path);

 private:
  file::FileSystem& disk_;
  const std::string path_;
  StreamState state_;
  SlotWriter slots_;
  std::uint64_t confirmed_ = 0;
};

}  // namespace weir::stream
