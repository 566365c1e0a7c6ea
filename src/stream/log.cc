#include "stream/log.h"

#include "base/check.h"
#include "base/log.h"

#include <algorithm>
#include <utility>

namespace weir::stream {

namespace {

/// How often a segment is read before its damage is believed or the read given up.
constexpr int kLooksMax = 6;

}  // namespace

Log::Log(std::shared_ptr<Shared> shared, StreamId id, std::string name)
    : shared_(std::move(shared)), id_(id), name_(std::move(name)) {}

SequenceNumber Log::oldest() const {
  return SequenceNumber(oldest_.load(std::memory_order_acquire));
}
SequenceNumber Log::visible_end() const {
  return SequenceNumber(visible_.load(std::memory_order_acquire));
}
SequenceNumber Log::durable_end() const {
  return SequenceNumber(durable_.load(std::memory_order_acquire));
}

std::int64_t Log::bytes_from(SequenceNumber from) const {
  const MutexLock lock(mutex_);
  std::int64_t bytes = 0;
  for (auto at = segments_.rbegin(); at != segments_.rend(); ++at) {
    const Segment& segment = **at;
    if (from <= segment.base()) {
      bytes += segment.record_bytes();
      continue;
    }
    if (from < segment.next()) {
      // From the index where it reaches; the rest in proportion.
      const IndexPoint point = segment.point_before(from);
      const auto rest = static_cast<double>(segment.end_offset() - point.offset);
      const auto part = static_cast<double>(segment.next() - from) /
                        static_cast<double>(segment.next() - point.sequence);
      bytes += static_cast<std::int64_t>(rest * part);
    }
    break;
  }
  return bytes;
}

std::int64_t Log::append_ms_near(SequenceNumber from) const {
  const SequenceNumber at = std::max(from, oldest());
  if (at >= visible_end()) return 0;
  const Place place = find_place(at);
  return place.segment ? place.segment->point_before(at).append_ms : 0;
}

Log::Place Log::find_place(SequenceNumber sequence) const {
  const MutexLock lock(mutex_);
  if (segments_.empty()) return {};
  auto after =
      std::upper_bound(segments_.begin(), segments_.end(), sequence,
                       [](SequenceNumber s, const auto& segment) { return s < segment->base(); });
  if (after == segments_.begin()) return {segments_.front(), std::nullopt};
  const auto at = std::prev(after);
  if (sequence >= (*at)->next()) {
    // Between two segments: numbers that were never used, or the end.
    if (after == segments_.end()) return {};
    return {*after, std::nullopt};
  }
  for (const Position& position : positions_) {
    if (position.sequence == sequence && position.base == (*at)->base()) {
      return {*at, position.offset};
    }
  }
  return {*at, std::nullopt};
}

void Log::remember(const Position& position) {
  const MutexLock lock(mutex_);
  positions_[position_turn_++ % positions_.size()] = position;
}

void Log::forget_positions() {
  const MutexLock lock(mutex_);
  positions_ = {};
}

std::string Log::damage() const {
  const MutexLock lock(mutex_);
  return damage_;
}

void Log::report_loss(const Segment& segment, const segment::Hole& hole) {
  const std::int64_t lost = hole.first_after - hole.first_lost;
  log::error("Stored messages are damaged and lost; everything around them is kept.",
             {{"stream", name_},
              {"file", segment.path()},
              {"offset", hole.offset},
              {"bytes", hole.bytes},
              {"first_lost", hole.first_lost.value()},
              {"last_lost", hole.first_after.value() - 1}});
  lost_.fetch_add(lost);
  shared_->lost_to_damage->add(static_cast<std::uint64_t>(lost));
  if (hole.bytes > 0) {
    shared_->quarantine->keep(id_, segment.path(), hole.offset, hole.bytes);
  }
  const MutexLock lock(mutex_);
  damage_ = "messages " + std::to_string(hole.first_lost.value()) + " to " +
            std::to_string(hole.first_after.value() - 1) + " were lost to damage in " +
            segment.path() + " at offset " + std::to_string(hole.offset);
}

namespace {

/// The holes of a segment as one scan sees them, cut to what is published.
Result<std::vector<segment::Hole>> look_for_holes(file::File& file, const Segment& segment) {
  const SequenceNumber next = segment.next();
  const std::uint64_t end_offset = segment.end_offset();
  WEIR_TRY(const segment::Scan scan, segment::scan(file, segment.header().stream_identity));
  std::vector<segment::Hole> holes;
  for (segment::Hole hole : scan.holes) {
    if (hole.first_lost >= next) break;
    hole.first_after = std::min(hole.first_after, next);
    holes.push_back(hole);
  }
  if (scan.next < next) {
    const std::uint64_t at = std::min(scan.valid_end, end_offset);
    holes.push_back({at, end_offset - at, scan.next, next});
  }
  return holes;
}

bool same_holes(const std::vector<segment::Hole>& a, const std::vector<segment::Hole>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const segment::Hole& x, const segment::Hole& y) {
                      return x.offset == y.offset && x.bytes == y.bytes &&
                             x.first_lost == y.first_lost && x.first_after == y.first_after;
                    });
}

}  // namespace

Result<bool> Log::assess(Segment& segment, SequenceNumber sequence) {
  auto file = segment.file();
  if (!file) {
    auto opened = shared_->files->open(segment.path());
    if (!opened && opened.error().code == Errc::kNotFound && !deleted() &&
        segment.base() >= oldest()) {
      // The whole file is gone.
      segment::Hole all{segment::kHeaderBytes, 0, sequence, segment.next()};
      if (segment.add_hole(all)) report_loss(segment, all);
      return true;
    }
    if (!opened) return fail(std::move(opened).error());
    file = std::move(*opened);
  }
  // Until two looks agree, because a disk that returns a wrong byte once may return the right one
  // the next time: only what is seen twice is damage.
  auto before = look_for_holes(*file, segment);
  for (int looks = 1; looks < kLooksMax; ++looks) {
    auto now = look_for_holes(*file, segment);
    if (!now && now.error().code == Errc::kIo) return fail(std::move(now).error());
    if (!before && !now) {
      // Not even the header is readable: nothing behind `sequence` can be found again.
      const std::uint64_t offset = segment.point_before(sequence).offset;
      segment::Hole rest{offset, segment.end_offset() - offset, sequence, segment.next()};
      if (segment.add_hole(rest)) report_loss(segment, rest);
      return true;
    }
    if (before && now && same_holes(*before, *now)) {
      for (segment::Hole& hole : *now) {
        if (segment.add_hole(hole)) report_loss(segment, hole);
      }
      break;
    }
    before = std::move(now);
  }
  return segment.hole_at(sequence).has_value();
}

// --- core only ------------------------------------------------------------------------------

const std::deque<std::shared_ptr<Segment>>& Log::segments() const { return core_segments_; }

void Log::append_segment(std::shared_ptr<Segment> segment) {
  WEIR_CHECK(core_segments_.empty() || core_segments_.back()->next() <= segment->base(),
             "segments follow each other");
  total_bytes_.fetch_add(segment->record_bytes());
  segment_count_.fetch_add(1);
  core_segments_.push_back(segment);
  const MutexLock lock(mutex_);
  segments_.push_back(std::move(segment));
}

std::shared_ptr<Segment> Log::remove_oldest() {
  WEIR_CHECK(!core_segments_.empty(), "there is a segment to remove");
  auto segment = core_segments_.front();
  core_segments_.pop_front();
  total_bytes_.fetch_sub(segment->record_bytes());
  segment_count_.fetch_sub(1);
  const SequenceNumber oldest_now = core_segments_.empty()
                                        ? visible_end()
                                        : std::min(core_segments_.front()->base(), visible_end());
  // Readers that come now find nothing below; the end never lies below the beginning.
  if (oldest_now > oldest()) oldest_.store(oldest_now.value(), std::memory_order_release);
  if (durable_end() < oldest()) durable_.store(oldest().value(), std::memory_order_release);
  const MutexLock lock(mutex_);
  segments_.pop_front();
  return segment;
}

void Log::remove_newest() {
  total_bytes_.fetch_sub(core_segments_.back()->record_bytes());
  segment_count_.fetch_sub(1);
  core_segments_.pop_back();
  const MutexLock lock(mutex_);
  segments_.pop_back();
}

void Log::cut_after(Segment& segment, std::uint64_t offset, SequenceNumber next, bool whole) {
  while (!core_segments_.empty() && core_segments_.back().get() != &segment) remove_newest();
  if (core_segments_.empty()) return;
  total_bytes_.fetch_sub(segment.record_bytes());
  segment.publish(offset, next);
  total_bytes_.fetch_add(segment.record_bytes());
  if (whole && segment.empty()) remove_newest();
  forget_positions();
}

void Log::note_loss(std::int64_t messages, std::string text) {
  lost_.fetch_add(messages);
  const MutexLock lock(mutex_);
  damage_ = std::move(text);
}

void Log::set_visible(SequenceNumber end) {
  WEIR_CHECK(end >= visible_end(), "what was visible stays visible");
  // The first message after a jump in an empty log: nothing lies before it.
  const bool was_empty = oldest() == visible_end();
  visible_.store(end.value(), std::memory_order_release);
  if (was_empty && !core_segments_.empty()) {
    const SequenceNumber first = std::min(core_segments_.front()->base(), end);
    if (first > oldest()) oldest_.store(first.value(), std::memory_order_release);
    if (first > durable_end()) durable_.store(first.value(), std::memory_order_release);
  }
}

void Log::set_durable(SequenceNumber end) {
  WEIR_CHECK(end <= visible_end(), "nothing is durable that is not visible");
  if (end > durable_end()) durable_.store(end.value(), std::memory_order_release);
}

void Log::start_at(SequenceNumber next) {
  oldest_.store(next.value());
  visible_.store(next.value());
  durable_.store(next.value());
}

}  // namespace weir::stream
