#pragma once

#include "base/clock.h"
#include "destination/http_transport.h"

#include <cstdint>

namespace weir::destination {

/// How far a server's clock is from ours, learnt from the dates of its answers
/// (destinations.md §23). Kept as a point on the monotonic clock, so that a step of our wall clock
/// does not move the server's time.
///
/// Threads: one at a time; a value, cheap to copy.
class ClockSkew {
 public:
  /// Learns from an answer to a request that was sent at `sent_at`, when our wall clock showed
  /// `sent_wall_ms`. True when what `wall_ms` said then was wrong and is right now: a request
  /// refused because of its time deserves a second try. Differences below 4 minutes do no harm and
  /// are ignored.
  bool learn(const HttpResponse& response, Instant sent_at, std::int64_t sent_wall_ms,
             const Clock& clock);

  /// The server's time now.
  [[nodiscard]] std::int64_t wall_ms(const Clock& clock) const;
  /// The server's clock minus ours when it was adopted; 0 = no difference worth correcting.
  [[nodiscard]] std::int64_t offset_ms() const { return offset_ms_; }

 private:
  std::int64_t offset_ms_ = 0;
  Instant adopted_at_{};
  std::int64_t adopted_wall_ms_ = 0;  // the server's time then
};

}  // namespace weir::destination
