#include "base/scratch.h"
#include "stream/log.h"

#include <algorithm>
#include <utility>

namespace weir::stream {
namespace {

constexpr std::size_t kChunkBytesMin = 4 * 1024;
constexpr std::size_t kChunkBytesMax = 256 * 1024;
/// How far a read that must not wait walks through a segment to find its first record.
constexpr std::uint64_t kWalkBytesMax = 1024 * 1024;

}  // namespace

/// One call of `read`.
class Log::Pass {
 public:
  Pass(Log& log, SequenceNumber from, SequenceNumber end, std::int64_t count, ReadMode mode,
       RecordSink& sink)
      : log_(log), at_(from), end_(end), count_(count), mode_(mode), sink_(sink) {}

  Result<ReadResult> run() {
    while (result_.records < count_ && at_ < end_ && !stopped_) {
      const SequenceNumber oldest = log_.oldest();
      if (at_ < oldest) at_ = oldest;
      const Place place = log_.find_place(at_);
      if (!place.segment) break;
      at_ = std::max(at_, place.segment->base());
      if (at_ >= end_) break;
      auto read = read_segment(*place.segment, place.offset);
      if (!read) {
        if (log_.deleted()) return fail(Errc::kNotFound, "the stream was deleted");
        if (read.error().code == Errc::kNotFound && at_ < log_.oldest()) continue;
        if (result_.records > 0) break;  // the next read meets it first
        return fail(std::move(read).error());
      }
    }
    result_.next = at_;
    return result_;
  }

 private:
  enum class Chunk : std::uint8_t { kDone, kMore, kStopped, kDamaged };

  Result<void> read_segment(Segment& segment, std::optional<std::uint64_t> known_offset) {
    IndexPoint point = segment.point_before(at_);
    if (known_offset) point = {at_, *known_offset, 0};
    number_ = point.sequence;
    offset_ = point.offset;
    const std::uint64_t began = offset_;
    WEIR_TRY(const auto file, open(segment));
    if (!file) return {};
    std::size_t want = 0;
    while (true) {
      const std::uint64_t limit = segment.end_offset();
      if (number_ >= segment.next()) {
        at_ = std::max(at_, number_);
        return {};
      }
      if (mode_ == ReadMode::kCachedOnly && number_ < at_ && offset_ - began > kWalkBytesMax) {
        would_block();
        return {};
      }
      want = std::max(want, chunk_bytes(segment));
      want =
          static_cast<std::size_t>(std::min<std::uint64_t>(want, limit - std::min(limit, offset_)));
      WEIR_TRY(const auto bytes, fetch(*file, want));
      if (!bytes) return {};
      const Chunk outcome = take(segment, *bytes, want, limit);
      want = wanted_;
      if (outcome == Chunk::kDamaged) {
        WEIR_TRY(const bool on, skip_damage(segment));
        if (!on) return {};
        want = 0;
      } else if (outcome != Chunk::kMore) {
        stopped_ = outcome == Chunk::kStopped;
        if (number_ >= at_) log_.remember({number_, segment.base(), offset_});
        return {};
      }
    }
  }

  void would_block() {
    result_.would_block = true;
    stopped_ = true;
  }

  /// Null: it would have to wait.
  Result<std::shared_ptr<file::File>> open(Segment& segment) {
    auto file = segment.file();
    if (!file) file = log_.shared_->files->find(segment.path());
    if (file) return file;
    if (mode_ == ReadMode::kCachedOnly) {
      would_block();
      return nullptr;
    }
    auto opened = log_.shared_->files->open(segment.path());
    if (!opened && opened.error().code == Errc::kNotFound && !log_.deleted() &&
        at_ >= log_.oldest()) {
      // The file is gone, and not by us.
      number_ = at_;
      WEIR_TRY(const bool on, skip_damage(segment));
      if (on) at_ = number_;
      return nullptr;
    }
    return opened;
  }

  /// As much as the records asked for will probably take.
  std::size_t chunk_bytes(const Segment& segment) const {
    const std::int64_t records = std::max<std::int64_t>(segment.next() - segment.base(), 1);
    const std::int64_t average = segment.record_bytes() / records + 1;
    const std::int64_t wanted = std::min(count_ - result_.records, end_ - at_) + (at_ - number_);
    const std::int64_t most = static_cast<std::int64_t>(kChunkBytesMax);
    if (wanted >= most / average) return kChunkBytesMax;
    return std::max(static_cast<std::size_t>(wanted * average), kChunkBytesMin);
  }

  /// None: it would have to wait.
  Result<std::optional<Bytes>> fetch(file::File& file, std::size_t want) {
    scratch_.buffer().clear();
    const MutableBytes room{scratch_.buffer().extend(want), want};
    if (want == 0) return std::optional<Bytes>(Bytes());
    std::size_t got = 0;
    if (mode_ == ReadMode::kCachedOnly) {
      WEIR_TRY(const auto some, file.try_read_at(offset_, room));
      if (!some || *some == 0) {
        would_block();
        return std::optional<Bytes>();
      }
      got = *some;
    } else {
      WEIR_TRY(got, file.read_at(offset_, room));
    }
    return std::optional<Bytes>(Bytes(room).first(got));
  }

  /// Hands the records in `bytes`, which were read at `offset_`, to the sink.
  Chunk take(Segment& segment, Bytes bytes, std::size_t want, std::uint64_t limit) {
    wanted_ = 0;
    const std::uint64_t chunk_offset = offset_;
    const bool complete = bytes.size() == want;
    const bool last = chunk_offset + bytes.size() >= limit;
    Bytes rest = bytes;
    while (true) {
      if (number_ >= end_ || result_.records >= count_) return Chunk::kDone;
      if (number_ >= segment.next()) return Chunk::kMore;
      const segment::Decoded decoded = segment::decode_record(rest, segment.seed(), number_);
      if (decoded.kind == segment::Decoded::Kind::kRecord) {
        if (number_ >= at_) {
          if (!sink_.record(number_, decoded.record.append_ms, decoded.record.payload)) {
            return Chunk::kStopped;
          }
          ++result_.records;
          at_ = number_ + 1;
        }
        if (offset_ - chunk_offset >= indexed_bytes_) {
          segment.add_index_point({number_, offset_, decoded.record.append_ms});
          indexed_bytes_ = offset_ - chunk_offset + segment::kIndexStrideBytes;
        }
        rest = rest.subspan(decoded.bytes);
        offset_ += decoded.bytes;
        ++number_;
        continue;
      }
      indexed_bytes_ = 0;
      return cut_short(decoded, rest, complete, last, limit);
    }
  }

  /// `rest` is no whole record: is there more to read, or is it damaged?
  Chunk cut_short(const segment::Decoded& decoded, Bytes rest, bool complete, bool last,
                  std::uint64_t limit) {
    const bool short_head = rest.size() < segment::kRecordOverheadBytes;
    if (!short_head && decoded.kind == segment::Decoded::Kind::kDamaged) return Chunk::kDamaged;
    const std::size_t needed = short_head ? segment::kRecordOverheadBytes : decoded.bytes;
    if (offset_ + needed > limit) return Chunk::kDamaged;
    if (last || !complete) {
      if (mode_ == ReadMode::kCachedOnly) {
        // The rest is not cached. Once what was cached is used up, the disk is needed.
        if (rest.empty()) return Chunk::kMore;
        would_block();
        return Chunk::kStopped;
      }
      // A blocking read is short only at the end of the file.
      if (rest.size() < needed && !complete) return Chunk::kDamaged;
    }
    wanted_ = std::max(needed, kChunkBytesMin);
    return Chunk::kMore;
  }

  /// Goes on behind what is lost. False: cannot now.
  Result<bool> skip_damage(Segment& segment) {
    auto hole = segment.hole_at(number_);
    if (!hole) {
      if (mode_ == ReadMode::kCachedOnly) {
        would_block();
        return false;
      }
      WEIR_TRY(const bool found, log_.assess(segment, number_));
      if (!found) {
        return fail(Errc::kCorrupt, "read " + segment.path() + " at offset " +
                                        std::to_string(offset_) + ": the record of message " +
                                        std::to_string(number_.value()) + " is damaged");
      }
      hole = segment.hole_at(number_);
    }
    number_ = hole->first_after;
    offset_ = hole->offset + hole->bytes;
    at_ = std::max(at_, number_);
    return true;
  }

  Log& log_;
  SequenceNumber at_;  ///< the next number to hand out
  const SequenceNumber end_;
  const std::int64_t count_;
  const ReadMode mode_;
  RecordSink& sink_;
  ReadResult result_;
  bool stopped_ = false;
  SequenceNumber number_;     ///< of the record at `offset_`
  std::uint64_t offset_ = 0;  ///< in the segment's file
  std::uint64_t indexed_bytes_ = 0;
  std::size_t wanted_ = 0;
  Scratch scratch_{2 * kChunkBytesMax};
};

Result<ReadResult> Log::read(SequenceNumber from, SequenceNumber end, std::int64_t count,
                             ReadMode mode, RecordSink& sink) {
  if (deleted()) return fail(Errc::kNotFound, "the stream was deleted");
  return Pass(*this, std::max(from, oldest()), std::min(end, visible_end()), count, mode, sink)
      .run();
}

}  // namespace weir::stream
