#include "base/poll_timeout.h"

#include <algorithm>
#include <chrono>

namespace weir {

int poll_timeout_ms(Instant until) {
  constexpr auto kLongest = std::chrono::minutes(10);
  const Instant at = std::chrono::steady_clock::now();
  if (until <= at) return 0;
  const Duration wait = std::min<Duration>(until - at, kLongest);
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

}  // namespace weir
