#include "base/backoff.h"

#include <algorithm>

namespace weir {

Duration Backoff::next(std::optional<Duration> at_least, int ahead) {
  constexpr int kDoublingsMax = 30;  // 2^30 s is past any ceiling, and the shift cannot overflow
  const auto factor = std::int64_t{1} << std::min(failures_ + ahead, kDoublingsMax);
  ++failures_;
  const Duration full =
      factor > options_.ceiling / options_.first ? options_.ceiling : options_.first * factor;
  const Duration half = full / 2;
  const auto jitter =
      Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(half.count()) + 1)));
  Duration wait = half + jitter;
  if (at_least) wait = std::max(wait, std::clamp(*at_least, Duration{0}, options_.ceiling));
  return wait;
}

}  // namespace weir
