#include "exporter/upload_turns.h"

namespace weir::exporter {

UploadTurns::UploadTurns(std::int64_t bytes_per_second)
    : unlimited_(bytes_per_second <= 0), bucket_(bytes_per_second, bytes_per_second) {}

UploadTurns::Place UploadTurns::line_up(std::int64_t priority, std::int64_t bytes) {
  return line_.emplace(Place{priority, ++arrivals_}, bytes).first->first;
}

void UploadTurns::leave(const Place& place, bool sends, Instant now) {
  const auto found = line_.find(place);
  if (sends) bucket_.take(found->second, now);
  line_.erase(found);
}

Instant UploadTurns::turn(const Place& place, Instant now) {
  if (unlimited_) return now;
  const auto first = line_.begin();
  return first->first == place ? bucket_.ready_at(first->second, now) : Instant::max();
}

std::optional<UploadTurns::Place> UploadTurns::first() const {
  if (line_.empty()) return std::nullopt;
  return line_.begin()->first;
}

void UploadTurns::set_rate(std::int64_t bytes_per_second) {
  unlimited_ = bytes_per_second <= 0;
  bucket_ = TokenBucket(bytes_per_second, bytes_per_second);
}

}  // namespace weir::exporter
