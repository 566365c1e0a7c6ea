#pragma once

#include "base/clock.h"
#include "base/token_bucket.h"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace weir::exporter {

/// Who sends next while bandwidth is short, and when: strictly by priority, within one in the order
/// of arrival. Nothing is set aside for those who wait, so whoever comes with a better priority is
/// next, however long the line is.
///
/// Pure; one thread at a time.
class UploadTurns {
 public:
  /// A place in the line: priority, lowest first, then arrival.
  using Place = std::pair<std::int64_t, std::uint64_t>;

  /// 0 bytes per second: no limit, everybody's turn is at once.
  explicit UploadTurns(std::int64_t bytes_per_second);

  /// One who wants to send `bytes`.
  Place line_up(std::int64_t priority, std::int64_t bytes);
  /// Its turn has come, or it has given up; `sends` says which.
  void leave(const Place& place, bool sends, Instant now);
  /// When `place` may send as things stand; `Instant::max()` while another is before it.
  [[nodiscard]] Instant turn(const Place& place, Instant now);
  /// Who is next, if anybody waits.
  [[nodiscard]] std::optional<Place> first() const;
  /// Another limit; the line stays.
  void set_rate(std::int64_t bytes_per_second);

 private:
  bool unlimited_;
  TokenBucket bucket_;
  std::uint64_t arrivals_ = 0;
  std::map<Place, std::int64_t> line_;  // what each wants to send
};

}  // namespace weir::exporter
