#pragma once

#include <cstdint>

namespace weir::server {

/// What was found out about a client's token. Only `kGood` lets a client in.
enum class TokenVerdict : std::uint8_t {
  kGood,
  kBad,
  kUnchecked,  ///< whoever knows could not be asked; the client is told to try again
};

}  // namespace weir::server
