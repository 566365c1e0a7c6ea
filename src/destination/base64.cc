#include "destination/base64.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace weir::destination {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Two characters for every value of 12 bits: two look-ups instead of four for three bytes.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}();

}  // namespace

char* write_base64(Bytes raw, char* to) {
  const std::byte* from = raw.data();
  std::size_t left = raw.size();
  // Six bytes a turn, read as eight.
  for (; left >= 8; left -= 6, from += 6, to += 8) {
    const std::uint64_t word = load_big64(from);
    std::memcpy(to, kPairs[word >> 52].data(), 2);
    std::memcpy(to + 2, kPairs[(word >> 40) & 0xfff].data(), 2);
    std::memcpy(to + 4, kPairs[(word >> 28) & 0xfff].data(), 2);
    std::memcpy(to + 6, kPairs[(word >> 16) & 0xfff].data(), 2);
  }
  for (; left >= 3; left -= 3, from += 3, to += 4) {
    const auto word = (std::to_integer<std::uint32_t>(from[0]) << 16) |
                      (std::to_integer<std::uint32_t>(from[1]) << 8) |
                      std::to_integer<std::uint32_t>(from[2]);
    std::memcpy(to, kPairs[word >> 12].data(), 2);
    std::memcpy(to + 2, kPairs[word & 0xfff].data(), 2);
  }
  if (left > 0) {
    auto word = std::to_integer<std::uint32_t>(from[0]) << 16;
    if (left == 2) word |= std::to_integer<std::uint32_t>(from[1]) << 8;
    std::memcpy(to, kPairs[word >> 12].data(), 2);
    to[2] = left == 2 ? kAlphabet[(word >> 6) & 63] : '=';
    to[3] = '=';
    to += 4;
  }
  return to;
}

std::string base64(Bytes raw) {
  std::string text(base64_size(raw.size()), '\0');
  write_base64(raw, text.data());
  return text;
}

}  // namespace weir::destination
