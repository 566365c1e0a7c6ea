#include "doctor/finding.h"

#include <array>
#include <fmt/format.h>
#include <iterator>

namespace weir::doctor {

const char* level_name(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kSkipped:
      return "skipped";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "unknown";
}

const char* group_name(Group group) {
  switch (group) {
    case Group::kWeir:
      return "weir";
    case Group::kMachine:
      return "machine";
    case Group::kStore:
      return "store";
    case Group::kNetwork:
      return "network";
    case Group::kDestinations:
      return "destinations";
  }
  return "unknown";
}

void append(Findings& to, Findings more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits.at(unit));
}

std::string time_text(std::int64_t ms) {
  if (ms < 1'000) return fmt::format("{} ms", ms);
  const std::int64_t seconds = ms / 1'000;
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 2 * 3'600) return fmt::format("{} minutes", seconds / 60);
  if (seconds < 2 * 86'400) return fmt::format("{} hours", seconds / 3'600);
  return fmt::format("{} days", seconds / 86'400);
}

}  // namespace weir::doctor
