#pragma once

#include "base/ids.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "file/file_system.h"

#include <cstdint>
#include <deque>
#include <string>

namespace weir::stream {

/// Where damaged bytes are set aside before anything overwrites or drops them. Bounded: the oldest
/// go first. Never an obstacle: what cannot be kept is skipped with a warning (reliability.md S4).
/// Threads: any.
class Quarantine {
 public:
  Quarantine(file::FileSystem& disk, metrics::Registry& metrics, std::int64_t bytes_max);

  /// Looks at what earlier runs left. Blocks.
  void load();
  /// Copies `bytes` bytes at `offset` of `path` aside. Blocks.
  void keep(StreamId stream, const std::string& path, std::uint64_t offset, std::uint64_t bytes);

 private:
  struct Item {
    std::string name;
    std::uint64_t bytes = 0;
  };
  bool make_room(std::uint64_t bytes) WEIR_REQUIRES(mutex_);

  file::FileSystem& disk_;
  metrics::Counter& quarantined_bytes_;
  const std::uint64_t bytes_max_;
  Mutex mutex_;
  std::deque<Item> items_ WEIR_GUARDED_BY(mutex_);  // oldest first
  std::uint64_t bytes_ WEIR_GUARDED_BY(mutex_) = 0;
  std::uint64_t number_ WEIR_GUARDED_BY(mutex_) = 0;
};

}  // namespace weir::stream
