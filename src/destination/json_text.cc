#include "destination/json_text.h"

#include <algorithm>
#include <cstdint>

namespace weir::destination {
namespace {

void append_escape(ByteBuffer& to, unsigned char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  const char text[] = {'\\', 'u', '0', '0', kDigits[c >> 4U], kDigits[c & 15U]};
  to.append(as_bytes({text, sizeof text}));
}

}  // namespace

std::size_t utf8_sequence_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;   // overlong forms
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;  // surrogates
    return continues(1, low, high) && continues(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2, 0x80, 0xbf) && continues(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

void append_json_text(ByteBuffer& to, std::string_view text) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  while (!text.empty()) {
    // Nearly all text goes out as it is.
    const auto end = std::find_if_not(text.begin(), text.end(), plain);
    const auto run = static_cast<std::size_t>(end - text.begin());
    to.append(as_bytes(text.substr(0, run)));
    text.remove_prefix(run);
    if (text.empty()) return;
    const auto c = static_cast<unsigned char>(text.front());
    std::size_t length = utf8_sequence_bytes(text);
    if (length == 0) {
      to.append(as_bytes("\xef\xbf\xbd"));
      length = 1;
    } else if (c == '"' || c == '\\') {
      to.append(as_bytes("\\"));
      to.append(as_bytes(text.substr(0, 1)));
    } else if (c < 0x20 || c == 0x7f) {
      append_escape(to, c);
    } else {
      to.append(as_bytes(text.substr(0, length)));
    }
    text.remove_prefix(length);
  }
}

}  // namespace weir::destination
