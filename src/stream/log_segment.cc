#include "stream/log.h"

#include <algorithm>
#include <utility>

namespace weir::stream {

Segment::Segment(const segment::Header& header, std::string path)
    : header_(header),
      path_(std::move(path)),
      seed_(segment::record_seed(header)),
      next_(header.base.value()) {}

void Segment::publish(std::uint64_t end_offset, SequenceNumber next) {
  end_offset_.store(end_offset, std::memory_order_release);
  next_.store(next.value(), std::memory_order_release);
}

void Segment::set_file(std::shared_ptr<file::File> file) {
  const MutexLock lock(mutex_);
  file_.swap(file);
}

std::shared_ptr<file::File> Segment::file() const {
  const MutexLock lock(mutex_);
  return file_;
}

void Segment::add_index_point(const IndexPoint& point) {
  const MutexLock lock(mutex_);
  const std::uint64_t last = index_.empty() ? segment::kHeaderBytes : index_.back().offset;
  if (point.offset >= last + segment::kIndexStrideBytes) index_.push_back(point);
}

IndexPoint Segment::point_before(SequenceNumber sequence) const {
  const MutexLock lock(mutex_);
  const auto after = std::upper_bound(
      index_.begin(), index_.end(), sequence,
      [](SequenceNumber s, const IndexPoint& point) { return s < point.sequence; });
  if (after == index_.begin()) {
    return {header_.base, segment::kHeaderBytes, header_.created_ms};
  }
  return *std::prev(after);
}

std::optional<segment::Hole> Segment::hole_at(SequenceNumber sequence) const {
  const MutexLock lock(mutex_);
  for (const segment::Hole& hole : holes_) {
    if (hole.first_lost <= sequence && sequence < hole.first_after) return hole;
  }
  return std::nullopt;
}

std::int64_t Segment::lost_from(SequenceNumber sequence) const {
  const MutexLock lock(mutex_);
  std::int64_t lost = 0;
  for (const segment::Hole& hole : holes_) {
    lost += std::max<std::int64_t>(hole.first_after - std::max(hole.first_lost, sequence), 0);
  }
  return lost;
}

bool Segment::add_hole(segment::Hole& hole) {
  const MutexLock lock(mutex_);
  for (const segment::Hole& known : holes_) {
    if (known.first_lost <= hole.first_lost && hole.first_lost < known.first_after) return false;
    // Every message is lost once only.
    if (hole.first_lost < known.first_lost) {
      hole.first_after = std::min(hole.first_after, known.first_lost);
    }
  }
  holes_.push_back(hole);
  return true;
}

}  // namespace weir::stream
