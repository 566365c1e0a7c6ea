#include "base/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

namespace weir {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78U;  // Castagnoli, bit-reversed

// Slicing by eight: table[k][b] is the checksum of byte b followed by k zero bytes.
constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t k = 1; k < 8; ++k) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}();

#if defined(__x86_64__)

#define WEIR_CRC_TARGET __attribute__((target("sse4.2")))
WEIR_CRC_TARGET inline std::uint32_t crc_word(std::uint32_t crc, const std::byte* at) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, load_little<std::uint64_t>(at)));
}
WEIR_CRC_TARGET inline std::uint32_t crc_byte(std::uint32_t crc, std::byte byte) {
  return _mm_crc32_u8(crc, std::to_integer<unsigned char>(byte));
}
bool hardware_available() { return __builtin_cpu_supports("sse4.2") != 0; }

#elif defined(__aarch64__)

#define WEIR_CRC_TARGET __attribute__((target("+crc")))
WEIR_CRC_TARGET inline std::uint32_t crc_word(std::uint32_t crc, const std::byte* at) {
  return __crc32cd(crc, load_little<std::uint64_t>(at));
}
WEIR_CRC_TARGET inline std::uint32_t crc_byte(std::uint32_t crc, std::byte byte) {
  return __crc32cb(crc, std::to_integer<unsigned char>(byte));
}
bool hardware_available() {
  constexpr unsigned long kHwcapCrc32 = 1UL << 7U;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
}

#endif

#if defined(WEIR_CRC_TARGET)

// The instruction takes one word per cycle but gives its result three cycles later. So three lanes
// run side by side; the tables tell what a lane's register becomes behind a lane of zeros, which is
// how the lanes are put together. Three of them are a little less than an ordinary message.
constexpr std::size_t kLaneBytes = 168;

constexpr auto kLaneOfZeros = [] {
  std::array<std::uint32_t, 32> of_bit{};
  for (std::size_t bit = 0; bit < of_bit.size(); ++bit) {
    std::uint32_t crc = 1U << bit;
    for (std::size_t i = 0; i < kLaneBytes; ++i) crc = (crc >> 8U) ^ kTables[0][crc & 0xffU];
    of_bit[bit] = crc;
  }
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      for (std::size_t bit = 0; bit < 8; ++bit) {
        if ((byte >> bit & 1U) != 0) tables[k][byte] ^= of_bit[8 * k + bit];
      }
    }
  }
  return tables;
}();

std::uint32_t behind_a_lane_of_zeros(std::uint32_t crc) {
  return kLaneOfZeros[0][crc & 0xffU] ^ kLaneOfZeros[1][(crc >> 8U) & 0xffU] ^
         kLaneOfZeros[2][(crc >> 16U) & 0xffU] ^ kLaneOfZeros[3][crc >> 24U];
}

WEIR_CRC_TARGET std::uint32_t crc32c_hardware(Bytes data, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 3 * kLaneBytes; left -= 3 * kLaneBytes, at += 3 * kLaneBytes) {
    std::uint32_t second = 0;
    std::uint32_t third = 0;
    for (std::size_t i = 0; i < kLaneBytes; i += 8) {
      crc = crc_word(crc, at + i);
      second = crc_word(second, at + kLaneBytes + i);
      third = crc_word(third, at + 2 * kLaneBytes + i);
    }
    crc = behind_a_lane_of_zeros(behind_a_lane_of_zeros(crc) ^ second) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) crc = crc_word(crc, at);
  for (; left > 0; --left, ++at) crc = crc_byte(crc, *at);
  return ~crc;
}

#endif

}  // namespace

std::uint32_t crc32c_portable(Bytes data, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t word = load_little<std::uint64_t>(at) ^ crc;
    crc = kTables[7][word & 0xffU] ^ kTables[6][(word >> 8U) & 0xffU] ^
          kTables[5][(word >> 16U) & 0xffU] ^ kTables[4][(word >> 24U) & 0xffU] ^
          kTables[3][(word >> 32U) & 0xffU] ^ kTables[2][(word >> 40U) & 0xffU] ^
          kTables[1][(word >> 48U) & 0xffU] ^ kTables[0][static_cast<std::size_t>(word >> 56U)];
  }
  for (; left > 0; --left, ++at) {
    crc = (crc >> 8U) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xffU];
  }
  return ~crc;
}

std::uint32_t crc32c(Bytes data, std::uint32_t seed) {
#if defined(WEIR_CRC_TARGET)
  static const bool kHardware = hardware_available();
  if (kHardware) return crc32c_hardware(data, seed);
#endif
  return crc32c_portable(data, seed);
}

}  // namespace weir
