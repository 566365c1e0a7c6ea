#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace weir {

/// A view of bytes somebody else owns.
using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using ByteVector = std::vector<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Integers at an unaligned address, in a byte order the name says. Compiles to one instruction.
template <class T>
T load_little(const std::byte* from) {
  static_assert(std::endian::native == std::endian::little,
                "add the byte swap before building for a big-endian machine");
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store_little(std::byte* to, T value) {
  static_assert(std::endian::native == std::endian::little,
                "add the byte swap before building for a big-endian machine");
  std::memcpy(to, &value, sizeof value);
}

inline std::uint16_t load_big16(const std::byte* from) {
  return __builtin_bswap16(load_little<std::uint16_t>(from));
}
inline std::uint32_t load_big32(const std::byte* from) {
  return __builtin_bswap32(load_little<std::uint32_t>(from));
}
inline std::uint64_t load_big64(const std::byte* from) {
  return __builtin_bswap64(load_little<std::uint64_t>(from));
}
inline void store_big16(std::byte* to, std::uint16_t value) {
  store_little(to, __builtin_bswap16(value));
}
inline void store_big32(std::byte* to, std::uint32_t value) {
  store_little(to, __builtin_bswap32(value));
}
inline void store_big64(std::byte* to, std::uint64_t value) {
  store_little(to, __builtin_bswap64(value));
}

}  // namespace weir
