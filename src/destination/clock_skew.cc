#include "destination/clock_skew.h"

#include "destination/http_date.h"

#include <cstdlib>

namespace weir::destination {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::int64_t kOffsetAdoptedMs = 240'000;        // smaller ones do no harm
constexpr auto kRoundTripMax = std::chrono::minutes(15);  // beyond it the date says nothing
constexpr auto kTimeKnownFor = std::chrono::minutes(1);   // then the service has to tell it again
constexpr std::int64_t kClocksApartMs = 60'000;

// When the answer says it was written, unless a cache wrote it or it was too long under way.
std::optional<std::int64_t> date_of(const HttpResponse& response, Duration round_trip) {
  const bool usable = response.status != 0 && response.header("age").empty();
  if (!usable || round_trip >= kRoundTripMax) return std::nullopt;
  return parse_http_date(response.header("date"));
}

}  // namespace

bool ClockSkew::learn(const HttpResponse& response, Instant sent_at, std::int64_t sent_wall_ms,
                      const Clock& clock) {
  const Instant now = clock.now();
  const Duration round_trip = now - sent_at;
  const auto date = date_of(response, round_trip);
  if (!date) return false;
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

void ServiceTime::hear(const HttpResponse& answer, Instant sent_at, const Clock& clock) {
  heard_.reset();
  const Instant now = clock.now();
  const auto date = date_of(answer, now - sent_at);
  if (!date) return;
  const auto half_ms = duration_cast<milliseconds>((now - sent_at) / 2).count();
  heard_ = Told{*date + half_ms, now, clock.wall_ms()};
}

void ServiceTime::believe() {
  if (heard_) believed_ = heard_;
}

std::optional<std::int64_t> ServiceTime::wall_ms(const Clock& clock) const {
  if (!believed_) return std::nullopt;
  const Duration passed = clock.now() - believed_->at;
  const std::int64_t passed_ms = duration_cast<milliseconds>(passed).count();
  const std::int64_t stepped_ms = clock.wall_ms() - believed_->wall_ms - passed_ms;
  if (passed >= kTimeKnownFor || std::abs(stepped_ms) >= kClocksApartMs) return std::nullopt;
  return believed_->service_ms + passed_ms;
}

}  // namespace weir::destination
