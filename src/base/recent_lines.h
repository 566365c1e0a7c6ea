#pragma once

#include "base/log.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::log {

/// A warning or an error as it was logged, for those who come later and look.
struct RecentLine {
  std::uint64_t number = 0;  ///< counts up from 1
  std::int64_t wall_ms = 0;
  Level level = Level::kWarn;
  std::string text;  ///< the sentence and its fields, cut
};

/// So many are remembered, each cut to so much: a ring of about 40 KiB.
inline constexpr std::size_t kRecentLinesMax = 80;
inline constexpr std::size_t kRecentLineBytesMax = 512;

/// The newest warnings and errors with a number above `after`, oldest first. Threads: any.
std::vector<RecentLine> recent_lines(std::uint64_t after);

}  // namespace weir::log
