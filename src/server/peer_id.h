#pragma once

#include <compare>
#include <cstdint>

namespace weir::server {

/// Names one connection for ever: work that outlives it finds out that it is gone.
struct PeerId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend constexpr auto operator<=>(PeerId, PeerId) = default;
};

}  // namespace weir::server
