#include "destination/clock_skew.h"

#include "destination/http_date.h"

#include <cstdlib>

namespace weir::destination {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::int64_t kOffsetAdoptedMs = 240'000;        // smaller ones do no harm
constexpr auto kRoundTripMax = std::chrono::minutes(15);  // beyond it the date says nothing

}  // namespace

bool ClockSkew::learn(const HttpResponse& response, Instant sent_at, std::int64_t sent_wall_ms,
                      const Clock& clock) {
  if (response.status == 0 || !response.header("age").empty()) return false;
  const auto date = parse_http_date(response.header("date"));
  const Instant now = clock.now();
  const Duration round_trip = now - sent_at;
  if (!date || round_trip >= kRoundTripMax) return false;
  const std::int64_t half_ms = duration_cast<milliseconds>(round_trip / 2).count();
  // Dates have whole seconds and the way there takes time: small differences are no news.
  const std::int64_t signed_for_ms =
      offset_ms_ == 0
          ? sent_wall_ms
          : adopted_wall_ms_ + duration_cast<milliseconds>(sent_at - adopted_at_).count();
  const bool signed_wrong = std::abs(*date - half_ms - signed_for_ms) >= kOffsetAdoptedMs;
  std::int64_t measured_ms = *date - (sent_wall_ms + half_ms);
  if (std::abs(measured_ms) < kOffsetAdoptedMs) measured_ms = 0;
  if (signed_wrong || std::abs(measured_ms - offset_ms_) >= kOffsetAdoptedMs) {
    offset_ms_ = measured_ms;
    adopted_at_ = now;
    adopted_wall_ms_ = *date + half_ms;
  }
  return signed_wrong;
}

std::int64_t ClockSkew::wall_ms(const Clock& clock) const {
  if (offset_ms_ == 0) return clock.wall_ms();
  return adopted_wall_ms_ + duration_cast<milliseconds>(clock.now() - adopted_at_).count();
}

}  // namespace weir::destination
