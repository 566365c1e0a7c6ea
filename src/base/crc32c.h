#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace weir {

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `data`, continuing from `seed`: `crc32c(b, crc32c(a))` is
/// the checksum of a and b together. Uses the processor's instruction where there is one.
std::uint32_t crc32c(Bytes data, std::uint32_t seed = 0);

/// The table-driven version, for processors without the instruction and as the test's oracle.
std::uint32_t crc32c_portable(Bytes data, std::uint32_t seed = 0);

}  // namespace weir
