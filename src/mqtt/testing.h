#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "mqtt/client.h"

#include <string>
#include <string_view>
#include <vector>

/// Shared by the tests of this folder.
namespace weir::mqtt::testing {

/// The bytes that hexadecimal digits stand for; blanks are passed over.
inline ByteVector bytes_of(std::string_view hex) {
  ByteVector bytes;
  int half = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (half < 0) {
      half = digit;
    } else {
      bytes.push_back(static_cast<std::byte>(half * 16 + digit));
      half = -1;
    }
  }
  return bytes;
}

inline std::string hex_of(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte b : bytes) {
    hex += kDigits[std::to_integer<std::size_t>(b) >> 4U];
    hex += kDigits[std::to_integer<std::size_t>(b) & 15U];
  }
  return hex;
}
inline std::string hex_of(const ByteBuffer& buffer) { return hex_of(buffer.bytes()); }

}  // namespace weir::mqtt::testing
