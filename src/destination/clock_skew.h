#pragma once

#include "base/clock.h"
#include "destination/http_transport.h"

#include <cstdint>
#include <optional>

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

/// A service's time, for deciding about data (destinations.md §6): only from answers that were
/// proven to be the service's own, and only while nothing speaks against it. The machine's wall
/// clock never tells it.
///
/// Threads: one at a time; a value.
class ServiceTime {
 public:
  /// Notes when an answer to a request sent at `sent_at` was written. It counts for nothing yet.
  void hear(const HttpResponse& answer, Instant sent_at, const Clock& clock);
  /// The answer heard last was the service's own: from now on its date tells the time. Without a
  /// date in it, what was known stays.
  void believe();
  /// The service's time now. None unless an answer of the last minute told it; none either when
  /// the wall clock has moved since by more than time has passed: a step of it, or a sleep of the
  /// machine that the monotonic clock did not see.
  [[nodiscard]] std::optional<std::int64_t> wall_ms(const Clock& clock) const;

 private:
  struct Told {
    std::int64_t service_ms = 0;
    Instant at{};
    std::int64_t wall_ms = 0;  // of this machine
  };
  std::optional<Told> heard_;
  std::optional<Told> believed_;
};

}  // namespace weir::destination
