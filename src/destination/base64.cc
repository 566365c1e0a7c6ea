#include "destination/base64.h"

#include <array>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace weir::destination {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Two characters for every value of 12 bits: two look-ups instead of four for three bytes.
constexpr auto kPairs = [] {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}();

#if defined(__x86_64__)

// 24 bytes a turn: the bodies of an export with a backlog are mostly base64.
constexpr std::size_t kWideStep = 24;
constexpr std::size_t kWideReads = 28;  // two loads of 16, twelve apart

// In each lane of twelve bytes, every three become a word of four places: second, first, third,
// second byte. Two multiplications move the four values of six bits to the low ends of the places:
// to the right in the odd values, which stand high, to the left in the even ones.
__attribute__((target("avx2"))) inline __m256i six_bits_each(__m256i bytes) {
  const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10,  //
                                          1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
  const __m256i words = _mm256_shuffle_epi8(bytes, spread);
  const __m256i high = _mm256_mulhi_epu16(_mm256_and_si256(words, _mm256_set1_epi32(0x0fc0fc00)),
                                          _mm256_set1_epi32(0x04000040));
  const __m256i low = _mm256_mullo_epi16(_mm256_and_si256(words, _mm256_set1_epi32(0x003f03f0)),
                                         _mm256_set1_epi32(0x01000010));
  return _mm256_or_si256(high, low);
}

// What is to be added to a value to get its character depends on its part of the alphabet. The
// parts are told apart by value - 51, not below zero: 0 for letters, 1 to 10 for digits, 11 and 12
// for the two others; small letters become 0 as well, capital ones 13.
__attribute__((target("avx2"))) inline __m256i characters(__m256i values) {
  constexpr char kDigit = '0' - 52;
  const __m256i distance =
      _mm256_setr_epi8('a' - 26, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit,
                       kDigit, kDigit, '+' - 62, '/' - 63, 'A', 0, 0,  //
                       'a' - 26, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit, kDigit,
                       kDigit, kDigit, '+' - 62, '/' - 63, 'A', 0, 0);
  const __m256i capital = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
  const __m256i part = _mm256_or_si256(_mm256_subs_epu8(values, _mm256_set1_epi8(51)),
                                       _mm256_and_si256(capital, _mm256_set1_epi8(13)));
  return _mm256_add_epi8(values, _mm256_shuffle_epi8(distance, part));
}

__attribute__((target("avx2"))) void write_wide(const std::byte*& from, std::size_t& left,
                                                char*& to) {
  for (; left >= kWideReads; left -= kWideStep, from += kWideStep, to += 32) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 12));
    const __m256i text = characters(six_bits_each(_mm256_set_m128i(second, first)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), text);
  }
}

bool has_wide() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

#else

void write_wide(const std::byte*&, std::size_t&, char*&) {}
bool has_wide() { return false; }

#endif

}  // namespace

char* write_base64(Bytes raw, char* to) {
  const std::byte* from = raw.data();
  std::size_t left = raw.size();
  if (has_wide()) write_wide(from, left, to);
  // Six bytes a turn, read as eight.
  for (; left >= 8; left -= 6, from += 6, to += 8) {
    const std::uint64_t word = load_big64(from);
    std::memcpy(to, kPairs[static_cast<std::size_t>(word >> 52)].data(), 2);
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
