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

__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(Bytes data, std::uint32_t seed) {
  std::uint64_t crc = ~seed;
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load_little<std::uint64_t>(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<unsigned char>(*at));
  return ~narrow;
}

bool hardware_available() { return __builtin_cpu_supports("sse4.2") != 0; }

#elif defined(__aarch64__)

__attribute__((target("+crc"))) std::uint32_t crc32c_hardware(Bytes data, std::uint32_t seed) {
  std::uint32_t crc = ~seed;
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; left -= 8, at += 8) crc = __crc32cd(crc, load_little<std::uint64_t>(at));
  for (; left > 0; --left, ++at) crc = __crc32cb(crc, std::to_integer<unsigned char>(*at));
  return ~crc;
}

bool hardware_available() {
  constexpr unsigned long kHwcapCrc32 = 1UL << 7U;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
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
          kTables[1][(word >> 48U) & 0xffU] ^ kTables[0][word >> 56U];
  }
  for (; left > 0; --left, ++at) {
    crc = (crc >> 8U) ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xffU];
  }
  return ~crc;
}

std::uint32_t crc32c(Bytes data, std::uint32_t seed) {
#if defined(__x86_64__) || defined(__aarch64__)
  static const bool kHardware = hardware_available();
  if (kHardware) return crc32c_hardware(data, seed);
#endif
  return crc32c_portable(data, seed);
}

}  // namespace weir
