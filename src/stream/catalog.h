#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/result.h"
#include "file/file_system.h"
#include "model/definition.h"
#include "stream/stream.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::stream {

struct Options {
  std::int64_t sync_interval_ms = 1'000;      ///< D3: age of the oldest unsynced byte
  std::int64_t sync_bytes = 8 * 1024 * 1024;  ///< and how many there may be per stream
  /// From so many streams on, one sync of the whole file system costs less than one for each, even
  /// where it has to write other programs' data too.
  std::int64_t sync_together_min = 16;
  std::int64_t slow_write_ms = 50;              ///< a slower write moves to the syncer thread
  std::int64_t inline_sync_us = 500;            ///< see Catalog::commit
  std::int64_t zeros_ahead_bytes = 256 * 1024;  ///< 0 = off; flushOnWrite streams only
  std::int64_t streams_max = 10'000;
  std::int64_t open_files_max = 2'048;             ///< none while streams are idle
  std::int64_t min_free_bytes = 16 * 1024 * 1024;  ///< F6; or 1 % of the disk if that is less
  std::int64_t quarantine_bytes_max = 16 * 1024 * 1024;
  /// Errors: kInvalidArgument naming the field.
  [[nodiscard]] Result<void> validate() const;
};

/// A stream that is in the store and could not be opened: its definition or its log cannot be read.
/// Nothing of it is touched, its name is taken, and the next start tries again (reliability.md C6).
struct UnavailableStream {
  StreamId id;
  std::string name;  ///< empty if not even that can be read
  std::string why;
};

/// Told about every change, on the core thread, after it took effect.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void stream_opened(Stream& stream) = 0;  ///< at start and after create
  virtual void stream_updated(Stream& stream) = 0;
  virtual void stream_removed(StreamId id, const std::string& name) = 0;
  virtual void visible_moved(Stream& stream) = 0;  ///< visible end or oldest changed
  virtual void durable_moved(Stream& stream) = 0;
};

/// Receives the outcome of staged appends, on the core thread. `token` is what `append` was given.
class AppendSink {
 public:
  virtual ~AppendSink() = default;
  virtual void append_done(std::uint64_t token, const Result<SequenceNumber>& outcome) = 0;
};

/// All streams of one store: names, creation, update, deletion, appending, retention.
///
/// Threads: core only. File work that may take long (create, update, delete, sync, unlink) runs on
/// the store's own syncer thread and comes back through `core`. Lifetime: everything passed to
/// `open` must outlive the catalog.
class Catalog {
 public:
  struct Environment {
    file::FileSystem& disk;
    Clock& clock;
    metrics::Registry& metrics;
    Executor& core;
    Observer& observer;
    AppendSink& appends;
    std::string boot_id;  ///< /proc/sys/kernel/random/boot_id; empty = treat as restarted
    std::uint64_t random_seed;
    /// Tests run the syncer's jobs themselves (`run_once`); production gives it a thread.
    bool own_syncer_thread = true;
    /// Asked before a stream's files go away, while its log can still be read and nothing is
    /// appended any more; may block. Threads: the syncer's.
    std::function<void(StreamId, const model::StreamDefinition&, const std::shared_ptr<LogReader>&)>
        before_removal = nullptr;
  };

  /// Locks the store, creates it if the directory is empty, recovers every stream, then reports
  /// each with `stream_opened`.
  /// Errors (S1): kUnavailable (locked), kConflict (foreign directory), kUnsupported (newer
  /// format), kIo. Blocks: on disk; at most one segment per stream is scanned.
  static Result<std::unique_ptr<Catalog>> open(const Options& options, Environment environment);

  virtual ~Catalog() = default;

  using Done = std::function<void(Result<void>)>;
  /// The definition must have passed `protocol::validate`. `done` runs on the core thread, after
  /// the change is durable, never before this call returns. Errors: kAlreadyExists, kFull
  /// (streams_max), kIo.
  virtual void create(model::StreamDefinition definition, Done done) = 0;
  /// protocol.md §4.7. Errors: kNotFound, kConflict (status 17), kInvalidArgument (3), kIo (16).
  virtual void update(model::StreamDefinition definition, Done done) = 0;
  /// Errors: kNotFound. The name is free again at once.
  virtual void remove(std::string_view name, Done done) = 0;

  /// Null if there is none. Valid until the stream is removed.
  virtual Stream* find(std::string_view name) = 0;
  virtual Stream* find(StreamId id) = 0;
  /// Ascending by name.
  [[nodiscard]] virtual std::vector<Stream*> streams() = 0;
  /// Does not change while the catalog is open.
  [[nodiscard]] virtual const std::vector<UnavailableStream>& unavailable() const = 0;
  /// Null if none of these has the name.
  [[nodiscard]] const UnavailableStream* find_unavailable(std::string_view name) const;

  /// Stages one message (at least 1 B). `payload` must stay valid until `commit` returns. The
  /// outcome goes to the `AppendSink` during `commit`, or later for streams that are durable
  /// before the answer or whose disk is slow. Outcomes: the number; kFull (`the message stream is
  /// full`, or the message can never fit); kIo; kNotFound if the stream is removed meanwhile.
  virtual void append(Stream& stream, Bytes payload, std::uint64_t token) = 0;

  /// Writes everything staged, one write per stream, and reports what is decided. Syncs inline
  /// when at most a few streams want it and recent syncs took less than `inline_sync_us` (handing
  /// over to another thread would cost a waiting client more); else hands over to the syncer.
  virtual void commit() = 0;

  /// Answers `token` once everything that was appended to `stream` with success so far is on stable
  /// storage (Memory streams: stored), whatever its definition promises its writers: during this
  /// call if it is already, else the next `commit` has it synced. Outcomes: the newest
  /// number; kIo, after which some of it may be lost; kNotFound if the stream is removed.
  virtual void flush(Stream& stream, std::uint64_t token) = 0;

  /// `Options::min_free_bytes` from now on.
  virtual void set_min_free_bytes(std::int64_t bytes) = 0;

  /// Periodic work: sync interval, time to live, retries after faults. Returns when to call again.
  virtual Instant tick() = 0;

  /// Ordered stop: commits, syncs, stores exact ends so that the next start scans nothing.
  /// Outstanding outcomes are reported before it returns. Blocks: on disk.
  virtual void close() = 0;

  /// With `own_syncer_thread == false`: runs one syncer job; false if there was none.
  virtual bool run_syncer_once() = 0;
};

}  // namespace weir::stream
