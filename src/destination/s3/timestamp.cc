#include "destination/s3/timestamp.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

namespace weir::destination::s3 {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::size_t kPatternBytesMax = 1024;
constexpr int kWidthMax = 19;  // of a number, Java's own limit

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// One moment, taken apart the ways that patterns ask for.
struct Moment {
  explicit Moment(std::int64_t wall_ns) {
    using namespace std::chrono;
    const sys_time<nanoseconds> when{nanoseconds(wall_ns)};
    const auto day = floor<days>(when);
    const year_month_day date(day);
    nano_of_day = (when - day).count();
    const hh_mm_ss time(when - day);
    year = int{date.year()};
    month = static_cast<int>(unsigned{date.month()});
    day_of_month = static_cast<int>(unsigned{date.day()});
    day_of_week = static_cast<int>(weekday(day).c_encoding());
    day_of_year = static_cast<int>((day - sys_days(date.year() / January / 1)).count()) + 1;
    hour = static_cast<int>(time.hours().count());
    minute = static_cast<int>(time.minutes().count());
    second = static_cast<int>(time.seconds().count());
    nano = nano_of_day % 1'000'000'000;
    // Weeks begin on Sunday; the one that holds the first of January is week 1 of that year.
    const auto first_of_january = [](std::chrono::year y) {
      return static_cast<int>(weekday(sys_days(y / January / 1)).c_encoding());
    };
    const year_month_day saturday(day + days(6 - day_of_week));
    week_year = int{saturday.year()};
    week = week_year > year ? 1 : (day_of_year - 1 + first_of_january(date.year())) / 7 + 1;
    const auto first = weekday(sys_days(date.year() / date.month() / 1)).c_encoding();
    week_of_month = (day_of_month - 1 + static_cast<int>(first)) / 7 + 1;
  }

  std::int64_t nano_of_day = 0;
  std::int64_t nano = 0;
  int year = 0;
  int month = 0;
  int day_of_month = 0;
  int day_of_week = 0;  // Sunday is 0
  int day_of_year = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int week_year = 0;
  int week = 0;
  int week_of_month = 0;
};

using Text = std::optional<std::string>;

std::string padded(std::int64_t value, int width) {
  std::string digits = std::to_string(value);
  const auto wanted = static_cast<std::size_t>(width);
  if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
  return digits;
}

Text number(std::int64_t value, int count, int count_max) {
  if (count > count_max) return std::nullopt;
  return padded(value, count);
}

Text year_text(int year, int count) {
  if (count == 2) return padded(year % 100, 2);
  return number(year, count, 9);
}

// Three letters short, four long, five the first character.
std::string name(std::string_view full, int count) {
  return std::string(full.substr(0, count == 4 ? full.size() : count == 5 ? 1 : 3));
}

Text month_text(int month, int count) {
  if (count <= 2) return padded(month, count);
  if (count > 5) return std::nullopt;
  return name(kMonths.at(static_cast<std::size_t>(month - 1)), count);
}

Text day_name(const Moment& at, int count) {
  if (count > 5) return std::nullopt;
  return name(kDays.at(static_cast<std::size_t>(at.day_of_week)), count);
}

Text quarter_text(int month, int count) {
  constexpr std::array<std::string_view, 4> kFull = {"1st quarter", "2nd quarter", "3rd quarter",
                                                     "4th quarter"};
  const int quarter = (month - 1) / 3 + 1;
  if (count <= 2) return padded(quarter, count);
  if (count == 3) return "Q" + std::to_string(quarter);
  if (count == 4) return std::string(kFull.at(static_cast<std::size_t>(quarter - 1)));
  if (count == 5) return std::to_string(quarter);
  return std::nullopt;
}

Text era_text(int count) {
  if (count > 5) return std::nullopt;
  return count == 4 ? "Anno Domini" : count == 5 ? "A" : "AD";
}

Text fraction(std::int64_t nano, int count) {
  if (count > 9) return std::nullopt;
  return padded(nano, 9).substr(0, static_cast<std::size_t>(count));
}

Text offset_text(char letter, int count) {
  if (count > 5) return std::nullopt;
  if (letter == 'X') return "Z";
  if (letter == 'Z') return count == 4 ? "GMT" : count == 5 ? "Z" : "+0000";
  return count == 1 ? "+00" : count == 3 || count == 5 ? "+00:00" : "+0000";
}

Text date_field(const Moment& at, char letter, int count) {
  switch (letter) {
    case 'y':
    case 'u':
      return year_text(at.year, count);
    case 'Y':
      return year_text(at.week_year, count);
    case 'M':
    case 'L':
      return month_text(at.month, count);
    case 'd':
      return number(at.day_of_month, count, 2);
    case 'D':
      return number(at.day_of_year, count, 3);
    case 'E':
      return day_name(at, count);
    case 'e':
      return count <= 2 ? padded(at.day_of_week + 1, count) : day_name(at, count);
    case 'c':
      if (count == 2) return std::nullopt;
      return count == 1 ? padded(at.day_of_week + 1, 1) : day_name(at, count);
    case 'Q':
    case 'q':
      return quarter_text(at.month, count);
    case 'w':
      return number(at.week, count, 2);
    case 'W':
      return number(at.week_of_month, count, 1);
    case 'G':
      return era_text(count);
    default:
      return std::nullopt;
  }
}

Text time_field(const Moment& at, char letter, int count) {
  switch (letter) {
    case 'H':
      return number(at.hour, count, 2);
    case 'k':
      return number(at.hour == 0 ? 24 : at.hour, count, 2);
    case 'K':
      return number(at.hour % 12, count, 2);
    case 'h':
      return number(at.hour % 12 == 0 ? 12 : at.hour % 12, count, 2);
    case 'm':
      return number(at.minute, count, 2);
    case 's':
      return number(at.second, count, 2);
    case 'S':
      return fraction(at.nano, count);
    case 'n':
      return number(at.nano, count, kWidthMax);
    case 'A':
      return number(at.nano_of_day / 1'000'000, count, kWidthMax);
    case 'N':
      return number(at.nano_of_day, count, kWidthMax);
    case 'a':
      if (count > 1) return std::nullopt;
      return at.hour < 12 ? "AM" : "PM";
    case 'X':
    case 'x':
    case 'Z':
      return offset_text(letter, count);
    default:
      return std::nullopt;
  }
}

auto refuse(std::string why) {
  return fail(Errc::kInvalidArgument, "the timestamp pattern " + std::move(why));
}

// Appends the text between quotes that begins at `at`; "''" is one quote, inside and outside.
// Returns where the pattern goes on, npos if the quote is never closed.
std::size_t take_quoted(std::string_view pattern, std::size_t at, std::string& out) {
  if (at + 1 < pattern.size() && pattern[at + 1] == '\'') {
    out += '\'';
    return at + 2;
  }
  for (++at; at < pattern.size(); ++at) {
    if (pattern[at] != '\'') {
      out += pattern[at];
    } else if (at + 1 < pattern.size() && pattern[at + 1] == '\'') {
      out += pattern[at++];
    } else {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace

Result<std::string> format_timestamp(std::string_view pattern, std::int64_t wall_ns) {
  if (pattern.size() > kPatternBytesMax) return refuse("is longer than 1024 bytes");
  const Moment moment(wall_ns);
  std::string out;
  int optional_depth = 0;
  for (std::size_t at = 0; at < pattern.size();) {
    const char c = pattern[at];
    if (c == '\'') {
      at = take_quoted(pattern, at, out);
      if (at == std::string_view::npos) return refuse("has a quote that is not closed");
      continue;
    }
    if (!is_letter(c)) {
      if (c == '#' || c == '{' || c == '}') {
        return refuse(std::string("contains the reserved character '") + c + "'");
      }
      if (c == '[') ++optional_depth;
      if (c == ']' && --optional_depth < 0) return refuse("has a ']' without a '['");
      if (c != '[' && c != ']') out += c;
      ++at;
      continue;
    }
    const std::size_t end = std::min(pattern.find_first_not_of(c, at), pattern.size());
    const int count = static_cast<int>(end - at);
    Text text = date_field(moment, c, count);
    if (!text) text = time_field(moment, c, count);
    if (!text) {
      return refuse("contains '" + log::escaped(pattern.substr(at, end - at), 40) +
                    "', which is no field that weir formats; put literal text in single quotes");
    }
    out += *text;
    at = end;
  }
  return out;
}

bool uses_week_year(std::string_view pattern) {
  bool quoted = false;
  for (const char c : pattern) {
    if (c == '\'') quoted = !quoted;
    if (c == 'Y' && !quoted) return true;
  }
  return false;
}

}  // namespace weir::destination::s3
