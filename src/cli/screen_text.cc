#include "cli/screen_text.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weir::cli {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// What terminals agree on, in blocks; a character of a later Unicode counts as one column.
constexpr std::array<Range, 10> kCombining = {{{0x300, 0x36f},
                                               {0x483, 0x489},
                                               {0x591, 0x5bd},
                                               {0x610, 0x61a},
                                               {0x64b, 0x65f},
                                               {0x1ab0, 0x1aff},
                                               {0x1dc0, 0x1dff},
                                               {0x20d0, 0x20ff},
                                               {0xfe00, 0xfe0f},
                                               {0xfe20, 0xfe2f}}};
constexpr std::array<Range, 9> kWide = {{{0x1100, 0x115f},
                                         {0x2e80, 0x303e},
                                         {0x3041, 0xa4cf},
                                         {0xac00, 0xd7a3},
                                         {0xf900, 0xfaff},
                                         {0xfe30, 0xfe6f},
                                         {0xff00, 0xff60},
                                         {0x1f300, 0x1faff},
                                         {0x20000, 0x3fffd}}};
constexpr std::array<Range, 6> kUnseen = {{{0xad, 0xad},
                                           {0x61c, 0x61c},
                                           {0x200b, 0x200f},
                                           {0x202a, 0x202e},
                                           {0x2060, 0x206f},
                                           {0xfeff, 0xfeff}}};

template <std::size_t N>
bool is_in(char32_t c, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

/// Takes one character; a byte that begins none is one of its own.
char32_t take(std::string_view& text, std::string_view& bytes) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  bytes = text.substr(0, std::min(length, text.size()));
  text.remove_prefix(bytes.size());
  if (bytes.size() == 1) return lead;
  char32_t c = lead & (0x7fU >> length);
  for (const char next : bytes.substr(1)) c = c << 6U | (static_cast<unsigned char>(next) & 0x3fU);
  return c;
}

std::size_t columns_of(char32_t c) {
  if (is_in(c, kCombining)) return 0;
  return is_in(c, kWide) ? 2 : 1;
}

}  // namespace

std::string visible(std::string_view text, std::size_t bytes_max) {
  const std::string clean = log::escaped(text, bytes_max);
  std::string out;
  std::string_view rest = clean;
  std::string_view bytes;
  while (!rest.empty()) {
    const char32_t c = take(rest, bytes);
    if (is_in(c, kUnseen)) {
      out += '?';
    } else {
      out += bytes;
    }
  }
  return out;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  std::string_view bytes;
  while (!text.empty()) columns += columns_of(take(text, bytes));
  return columns;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::string out;
  std::size_t used = 0;
  std::string_view bytes;
  while (!text.empty()) {
    const std::size_t width = columns_of(take(text, bytes));
    if (used + width + 1 > columns) break;
    used += width;
    out += bytes;
  }
  return columns == 0 ? out : out + '~';
}

std::string fitted(std::string_view text, std::size_t columns, bool right) {
  const std::string shown = cut(text, columns);
  const std::string space(columns - columns_of(shown), ' ');
  return right ? space + shown : shown + space;
}

std::vector<std::string> broken(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines(1);
  std::size_t used = 0;
  std::size_t space = std::string::npos;  // the last one of this line
  std::string_view bytes;
  while (!text.empty()) {
    const std::size_t width = columns_of(take(text, bytes));
    std::string& line = lines.back();
    if (used + width > columns && !line.empty()) {
      std::string rest;
      if (bytes != " " && space != std::string::npos && space > 0) {
        rest = line.substr(space + 1);
        line.resize(space);
      }
      lines.push_back(std::move(rest));
      used = columns_of(lines.back());
      space = std::string::npos;
      if (bytes == " " && lines.back().empty()) continue;
    }
    if (bytes == " ") space = lines.back().size();
    lines.back() += bytes;
    used += width;
  }
  return lines;
}

}  // namespace weir::cli
