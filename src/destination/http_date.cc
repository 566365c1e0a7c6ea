#include "destination/http_date.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace weir::destination {
namespace {

constexpr std::int64_t kRetryAfterMaxMs = 300'000;

std::optional<int> number(std::string_view text) {
  int value = 0;
  if (text.empty() || text.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> month(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto* found = std::find(kMonths.begin(), kMonths.end(), name);
  if (found == kMonths.end()) return std::nullopt;
  return static_cast<unsigned>(found - kMonths.begin()) + 1;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  text = trimmed(text);
  // Positions:  Sun, 06 Nov 1994 08:49:37 GMT
  //             0    5  8   12   17 20 23 26
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
      text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  const auto day = number(text.substr(5, 2));
  const auto in_month = month(text.substr(8, 3));
  const auto year = number(text.substr(12, 4));
  const auto hour = number(text.substr(17, 2));
  const auto minute = number(text.substr(20, 2));
  const auto second = number(text.substr(23, 2));
  if (!day || !in_month || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*in_month),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(days).count() +
                               std::int64_t{*hour} * 3600 + std::int64_t{*minute} * 60 + *second;
  return seconds * 1000;
}

std::optional<Duration> parse_retry_after(std::string_view text, std::int64_t now_wall_ms) {
  text = trimmed(text);
  if (text.empty()) return std::nullopt;
  std::int64_t wait_ms = 0;
  if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    // More digits than 300 s can have are clamped without being read.
    const auto seconds = text.size() <= 9 ? number(text) : std::optional<int>(1 << 30);
    wait_ms = std::int64_t{*seconds} * 1000;
  } else {
    const auto date = parse_http_date(text);
    if (!date) return std::nullopt;
    wait_ms = *date - now_wall_ms;
  }
  return std::chrono::milliseconds(std::clamp<std::int64_t>(wait_ms, 0, kRetryAfterMaxMs));
}

}  // namespace weir::destination
