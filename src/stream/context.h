#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "stream/catalog.h"
#include "stream/file_cache.h"
#include "stream/log.h"
#include "stream/quarantine.h"
#include "stream/syncer.h"

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

/// What the streams of one store share. Internal to the folder.
namespace weir::stream {

class ManagedStream;

/// Figures of one stream that the metrics' thread reads.
struct StreamFigures {
  std::string name;
  std::shared_ptr<Log> log;
  std::atomic<std::uint64_t> appended_messages{0};
  std::atomic<std::uint64_t> appended_bytes{0};
};

/// All of them, and the times that are no whole seconds. Threads: any.
class FiguresList {
 public:
  std::atomic<Duration::rep> syncing{0};       ///< time spent waiting for the disk
  std::atomic<Duration::rep> unsynced_age{0};  ///< of the oldest acknowledged byte

  void add(std::shared_ptr<StreamFigures> figures);
  void remove(const StreamFigures* figures);
  void collect(metrics::Samples& samples) const;

 private:
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<StreamFigures>> list_ WEIR_GUARDED_BY(mutex_);
};

/// How fast the disk syncs at present. Threads: core.
class SyncPace {
 public:
  void took(Duration duration);
  [[nodiscard]] Duration average() const { return average_; }

 private:
  Duration average_{0};
};

/// Whether the disk is nearly full (reliability.md F6). Threads: core.
class FreeSpace {
 public:
  FreeSpace(file::FileSystem& disk, metrics::Registry& metrics, std::int64_t min_free_bytes);

  /// Asks the file system if the last answer is old. Blocks, briefly.
  void look(Instant now);
  /// Another limit; counts from the next look on, which it asks for.
  void set_min_free_bytes(std::int64_t bytes);
  /// Counts what was written; looks again after every few MiB.
  void written(std::uint64_t bytes, Instant now);
  [[nodiscard]] bool low() const { return low_; }
  [[nodiscard]] std::string text() const;

 private:
  void ask(Instant now);

  file::FileSystem& disk_;
  metrics::Gauge& free_gauge_;
  metrics::Gauge& low_gauge_;
  std::uint64_t min_free_bytes_;
  std::uint64_t free_bytes_ = 0;
  std::uint64_t mark_ = 0;
  std::uint64_t written_ = 0;
  Instant asked_at_{};
  bool asked_ = false;
  bool low_ = false;
};

/// Counters that appending touches, looked up once.
struct Counters {
  explicit Counters(metrics::Registry& registry);
  metrics::Counter& appended_bytes;
  metrics::Counter& rejected_full;
  metrics::Counter& rejected_too_large;
  metrics::Counter& rejected_disk;
  metrics::Counter& rejected_low_space;
  metrics::Counter& rejected_fault;
  metrics::Counter& rejected_busy;
  metrics::Counter& lost_to_damage;
  metrics::Counter& lost_to_sync;
  metrics::Counter& removed_full;
  metrics::Counter& removed_ttl;
  metrics::Counter& removed_low_space;
  metrics::Counter& syncs_inline;
  metrics::Counter& syncs_elsewhere;
  metrics::Counter& sync_failures;
  metrics::Counter& slow_writes;
  metrics::Gauge& streams;
};

struct Context {
  Context(const Options& opts, Catalog::Environment& environment);

  const Options options;
  Catalog::Environment env;
  Counters counters;
  FileCache files;
  Quarantine quarantine;
  std::shared_ptr<Log::Shared> log_shared;
  std::shared_ptr<FiguresList> figures;
  SyncPace pace;
  FreeSpace space;
  const Instant started;
  std::uint64_t epoch = 0;
  std::int64_t wall_ms = 0;               ///< read once per commit
  std::uint64_t held_bytes = 0;           ///< payloads copied because a disk is slow
  std::list<ManagedStream*> writers;      ///< with an open segment, most recently used first
  std::vector<ManagedStream*> want_sync;  ///< streams that somebody waits for
  /// Last, so that it stops before what its jobs use.
  Syncer syncer;
};

}  // namespace weir::stream
