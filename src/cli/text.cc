#include "cli/text.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace weir::cli {
namespace {

constexpr double kInt64Limit = 9223372036854775808.0;

/// Takes a decimal number, fraction allowed, from the front of `text`, then any spaces.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || value < 0 || text.starts_with('-') || !std::isfinite(value)) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

std::optional<std::int64_t> whole(double value) {
  if (value >= kInt64Limit || std::trunc(value) != value) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<double> byte_unit(std::string_view unit) {
  if (unit.empty() || unit == "B") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  const char lower = static_cast<char>(unit[0] | 0x20);
  const std::size_t power = kPrefixes.find(lower);
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = unit.substr(1);
  const bool decimal = rest == "B" || rest == "b";
  if (!decimal && !rest.empty() && rest != "i" && rest != "iB" && rest != "ib") return std::nullopt;
  return std::pow(decimal ? 1000.0 : 1024.0, static_cast<double>(power) + 1);
}

/// Takes exactly `digits` digits.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits || value < 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Takes ".123" and returns milliseconds; further digits are dropped.
int take_fraction_ms(std::string_view& text) {
  int ms = 0;
  int scale = 100;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    ms += (text[0] - '0') * scale;
    scale /= 10;
    text.remove_prefix(1);
  }
  return ms;
}

/// Takes "", "Z" or "+01:00" and returns minutes east of UTC.
std::optional<int> take_zone(std::string_view& text) {
  if (text.empty() || take(text, 'Z')) return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hours = take_digits(text, 2);
  take(text, ':');
  const auto minutes = take_digits(text, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

/// Takes "T11:24:27.5" and what follows; milliseconds since midnight UTC, may be negative.
std::optional<std::int64_t> take_time_of_day(std::string_view& text) {
  if (text.empty()) return 0;
  if (!take(text, 'T') && !take(text, ' ')) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  std::optional<int> second = 0;
  int ms = 0;
  if (take(text, ':')) {
    second = take_digits(text, 2);
    if (!second || *second > 59) return std::nullopt;
    if (take(text, '.')) ms = take_fraction_ms(text);
  }
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;
  return ((*hour * 60LL + *minute - *zone) * 60 + *second) * 1000 + ms;
}

}  // namespace

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  const auto number = take_number(text);
  const auto unit = byte_unit(text);
  if (!number || !unit) return std::nullopt;
  // Written out in full, the largest size is not exact as a double.
  if (*number == kInt64Limit && *unit == 1) return std::numeric_limits<std::int64_t>::max();
  return whole(*number * *unit);
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr std::array<Unit, 8> kUnits = {{{"", 1},
                                           {"ms", 1},
                                           {"s", 1000},
                                           {"m", 60'000},
                                           {"min", 60'000},
                                           {"h", 3'600'000},
                                           {"d", 86'400'000},
                                           {"w", 604'800'000}}};
  for (const Unit& unit : kUnits) {
    if (text == unit.name) return whole(*number * unit.ms);
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_time_ms(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const auto time = take_time_of_day(text);
  if (!time) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400'000 + *time;
}

std::optional<std::string> parse_escapes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (!take(text, '\\')) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (take(text, 'n')) {
      out += '\n';
    } else if (take(text, 't')) {
      out += '\t';
    } else if (take(text, 'r')) {
      out += '\r';
    } else if (take(text, '0')) {
      out += '\0';
    } else if (take(text, '\\')) {
      out += '\\';
    } else if (take(text, 'x') && text.size() >= 2) {
      unsigned value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value, 16);
      if (error != std::errc() || end != text.data() + 2) return std::nullopt;
      out += static_cast<char>(value);
      text.remove_prefix(2);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::size_t first = number < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string counted(std::int64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string human_duration(std::int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  const std::int64_t s = ms / 1000;
  if (s < 60) return fmt::format("{} s", s);
  const std::int64_t min = s / 60;
  if (min < 60) {
    return s % 60 == 0 ? fmt::format("{} min", min) : fmt::format("{} min {} s", min, s % 60);
  }
  const std::int64_t h = min / 60;
  if (h < 24) {
    return min % 60 == 0 ? fmt::format("{} h", h) : fmt::format("{} h {} min", h, min % 60);
  }
  return h % 24 == 0 ? fmt::format("{} d", h / 24) : fmt::format("{} d {} h", h / 24, h % 24);
}

std::string human_bytes(std::int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return fmt::format("{} {}", text, kUnits.at(unit));
}

std::string iso_time(std::int64_t wall_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(wall_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto ms = (time - day).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8U | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      const bool padding = i + j > bytes.size();
      out += padding ? '=' : kAlphabet[group >> (18 - 6 * j) & 63U];
    }
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text.substr(0, text.find('='))) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    group = group << 6U | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(static_cast<unsigned char>(group >> bits));
  }
  // Padding, and bits that no byte used, are as they are written.
  return base64(out) == text ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace weir::cli
