#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "segment/segment.h"
#include "stream/file_cache.h"
#include "stream/quarantine.h"
#include "stream/stream.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::stream {

/// Where a record starts, and when it was appended.
struct IndexPoint {
  SequenceNumber sequence;
  std::uint64_t offset = segment::kHeaderBytes;
  std::int64_t append_ms = 0;
};

/// One segment of a log as writer and readers share it.
///
/// Threads: `publish` and the fields named below on core only; everything else any. Below
/// `end_offset()` the file never changes, so reading takes the lock only to find where to begin.
class Segment {
 public:
  Segment(const segment::Header& header, std::string path);

  [[nodiscard]] const segment::Header& header() const { return header_; }
  [[nodiscard]] SequenceNumber base() const { return header_.base; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint32_t seed() const { return seed_; }
  [[nodiscard]] SequenceNumber next() const {
    return SequenceNumber(next_.load(std::memory_order_acquire));
  }
  [[nodiscard]] std::uint64_t end_offset() const {
    return end_offset_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::int64_t record_bytes() const {
    return static_cast<std::int64_t>(end_offset() - segment::kHeaderBytes);
  }
  [[nodiscard]] bool empty() const { return next() == base(); }

  /// Readers see records up to here from now on.
  void publish(std::uint64_t end_offset, SequenceNumber next);

  /// The file its writer holds open, or null: then readers go through the `FileCache`.
  void set_file(std::shared_ptr<file::File> file);
  [[nodiscard]] std::shared_ptr<file::File> file() const;

  /// Adds a point behind the last one; ignored while the last one is less than a stride away.
  void add_index_point(const IndexPoint& point);
  /// The last known point at or before `sequence`.
  [[nodiscard]] IndexPoint point_before(SequenceNumber sequence) const;

  /// The hole that begins at `sequence`, if one is known.
  [[nodiscard]] std::optional<segment::Hole> hole_at(SequenceNumber sequence) const;
  /// How many of the messages from `sequence` on lie in known holes.
  [[nodiscard]] std::int64_t lost_from(SequenceNumber sequence) const;
  /// Remembers `hole`, less what was known already; false if that is all of it.
  bool add_hole(segment::Hole& hole);

  // Core only.
  std::int64_t newest_append_ms = 0;  ///< the largest append time in it
  Instant last_append{};              ///< by the monotonic clock; set in this run only
  bool earlier_run = false;           ///< it has records from before this start

 private:
  const segment::Header header_;
  const std::string path_;
  const std::uint32_t seed_;
  std::atomic<std::int64_t> next_;
  std::atomic<std::uint64_t> end_offset_{segment::kHeaderBytes};
  mutable Mutex mutex_;
  std::shared_ptr<file::File> file_ WEIR_GUARDED_BY(mutex_);
  std::vector<IndexPoint> index_ WEIR_GUARDED_BY(mutex_);
  std::vector<segment::Hole> holes_ WEIR_GUARDED_BY(mutex_);
};

/// The segments of one stream, oldest first, and how far they may be read.
///
/// Threads: the reading side any, the changing side core only. Invariant, at every moment:
/// oldest <= durable <= visible <= end of the last segment.
class Log final : public LogReader {
 public:
  /// What all logs of a store share. Outlives them.
  struct Shared {
    FileCache* files = nullptr;
    Quarantine* quarantine = nullptr;
    metrics::Counter* lost_to_damage = nullptr;
  };
  Log(std::shared_ptr<Shared> shared, StreamId id, std::string name);

  [[nodiscard]] SequenceNumber oldest() const override;
  [[nodiscard]] SequenceNumber visible_end() const override;
  [[nodiscard]] SequenceNumber durable_end() const override;
  Result<ReadResult> read(SequenceNumber from, SequenceNumber end, std::int64_t count,
                          ReadMode mode, RecordSink& sink) override;
  [[nodiscard]] std::int64_t bytes_from(SequenceNumber from) const override;
  [[nodiscard]] std::int64_t append_ms_near(SequenceNumber from) const override;

  /// Messages found to be lost since the log was opened.
  [[nodiscard]] std::int64_t lost_messages() const { return lost_.load(); }
  [[nodiscard]] std::int64_t total_bytes() const { return total_bytes_.load(); }
  [[nodiscard]] std::int64_t segment_count() const { return segment_count_.load(); }
  /// What was lost last, in words; empty if nothing was.
  [[nodiscard]] std::string damage() const;
  /// Records and reports a loss: counters, log line, quarantine. Blocks.
  void report_loss(const Segment& segment, const segment::Hole& hole);

  // --- core only --------------------------------------------------------------------------
  void append_segment(std::shared_ptr<Segment> segment);
  /// Takes the oldest segment out; its numbers are gone for readers.
  std::shared_ptr<Segment> remove_oldest();
  /// Takes the newest one out, which must hold nothing visible.
  void remove_newest();
  [[nodiscard]] const std::deque<std::shared_ptr<Segment>>& segments() const;
  /// Forgets what lies behind `offset` of `segment`, which is where `next` would begin, and all
  /// later segments; with `whole`, also the segment itself if nothing of it is left.
  void cut_after(Segment& segment, std::uint64_t offset, SequenceNumber next, bool whole);
  /// Counts a loss that was found elsewhere.
  void note_loss(std::int64_t messages, std::string text);
  void add_bytes(std::int64_t bytes) { total_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void set_visible(SequenceNumber end);
  void set_durable(SequenceNumber end);
  /// Where an empty log begins.
  void start_at(SequenceNumber next);
  void mark_deleted() { deleted_.store(true, std::memory_order_release); }
  [[nodiscard]] bool deleted() const { return deleted_.load(std::memory_order_acquire); }
  void forget_positions();

 private:
  struct Position {
    SequenceNumber sequence{-1};
    SequenceNumber base;
    std::uint64_t offset = 0;
  };
  struct Place {
    std::shared_ptr<Segment> segment;
    std::optional<std::uint64_t> offset;  ///< exact, remembered from an earlier read
  };
  class Pass;

  [[nodiscard]] Place find_place(SequenceNumber sequence) const;
  void remember(const Position& position);
  /// Finds out what is wrong with a segment. True if it is known now what is lost from `sequence`.
  Result<bool> assess(Segment& segment, SequenceNumber sequence);

  const std::shared_ptr<Shared> shared_;
  const StreamId id_;
  const std::string name_;
  std::atomic<std::int64_t> oldest_{0};
  std::atomic<std::int64_t> visible_{0};
  std::atomic<std::int64_t> durable_{0};
  std::atomic<std::int64_t> lost_{0};
  std::atomic<std::int64_t> total_bytes_{0};
  std::atomic<std::int64_t> segment_count_{0};
  std::atomic<bool> deleted_{false};
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<Segment>> segments_ WEIR_GUARDED_BY(mutex_);
  std::array<Position, 8> positions_ WEIR_GUARDED_BY(mutex_);
  std::size_t position_turn_ WEIR_GUARDED_BY(mutex_) = 0;
  std::string damage_ WEIR_GUARDED_BY(mutex_);
  // The same segments, for core, which is the only thread that changes either: no lock to read.
  std::deque<std::shared_ptr<Segment>> core_segments_;
};

}  // namespace weir::stream
