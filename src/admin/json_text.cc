#include "admin/json_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace weir::admin {
namespace {

// Length of the UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void append_escaped(std::string& out, unsigned char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    default:
      out += "\\u00";
      out += kHex[c >> 4U];
      out += kHex[c & 15U];
  }
}

}  // namespace

void JsonText::separate() {
  if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
}

JsonText& JsonText::open(char bracket) {
  separate();
  out_ += bracket;
  return *this;
}

JsonText& JsonText::close(char bracket) {
  out_ += bracket;
  return *this;
}

JsonText& JsonText::key(std::string_view name) {
  text(name);
  out_ += ':';
  return *this;
}

JsonText& JsonText::text(std::string_view value) {
  separate();
  out_ += '"';
  while (!value.empty()) {
    const auto c = static_cast<unsigned char>(value[0]);
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
      append_escaped(out_, c);
      value.remove_prefix(1);
      continue;
    }
    const std::size_t length = sequence_length(value);
    out_ += length == 0 ? std::string_view("\xEF\xBF\xBD") : value.substr(0, length);
    value.remove_prefix(length == 0 ? 1 : length);
  }
  out_ += '"';
  return *this;
}

JsonText& JsonText::number(std::int64_t value) {
  separate();
  out_ += std::to_string(value);
  return *this;
}

JsonText& JsonText::rate(double value) {
  constexpr double kLeast = 0.005;
  if (std::isnan(value) || std::abs(value) < kLeast) return number(0);
  if (std::abs(value) >= 1000) {
    const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 2);
    return number(static_cast<std::int64_t>(std::round(value / unit) * unit));
  }
  separate();
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                 std::chars_format::general, 3);
  out_.append(digits.data(), end.ptr);
  return *this;
}

JsonText& JsonText::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
  return *this;
}

JsonText& JsonText::null() {
  separate();
  out_ += "null";
  return *this;
}

JsonText& JsonText::member(std::string_view name, std::string_view value) {
  return key(name).text(value);
}

JsonText& JsonText::member(std::string_view name, std::int64_t value) {
  return key(name).number(value);
}

JsonText& JsonText::member_if(std::string_view name, std::string_view value) {
  return value.empty() ? *this : member(name, value);
}

JsonText& JsonText::member_if(std::string_view name, std::int64_t value) {
  return value == 0 ? *this : member(name, value);
}

JsonText& JsonText::flag_if(std::string_view name, bool value) {
  return value ? key(name).boolean(true) : *this;
}

}  // namespace weir::admin
