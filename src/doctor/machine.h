#pragma once

#include "doctor/finding.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The machine that weir runs on: its clock, and what a process may use.
namespace weir::doctor {

/// What an answer from the network says of the clock.
struct ClockReading {
  std::string server;
  std::int64_t ahead_ms = 0;  ///< the server's clock minus ours
};

struct ClockFacts {
  std::int64_t wall_ms = 0;
  std::optional<bool> synchronised;  ///< as the kernel says
  std::vector<ClockReading> readings;
};
/// Beyond this clocks are said to differ. weir signs with the destination's clock, so exports go
/// on; times of messages and files are wrong.
inline constexpr std::int64_t kClockWarnMs = 30'000;
inline constexpr std::int64_t kClockErrorMs = 24LL * 3'600 * 1'000;
/// Nothing of this program is older: an earlier clock is wrong.
inline constexpr std::int64_t kReleasedMs = 1'790'000'000'000;  // September 2026
Findings judge_clock(const ClockFacts& facts);
/// Without readings.
ClockFacts look_at_clock();

struct LimitFacts {
  bool of_weir = false;                          ///< of the running weir, not of this command
  std::optional<std::uint64_t> open_files;       ///< soft limit
  std::optional<std::uint64_t> open_files_hard;  ///< weir raises its limit up to it at start
  std::uint64_t open_files_wanted = 0;
  std::optional<std::uint64_t> open_files_used;
  std::uint64_t memory_available = 0;        ///< of the machine; 0 = unknown
  std::optional<std::uint64_t> memory_max;   ///< of weir's control group
  std::optional<std::uint64_t> memory_used;  ///< likewise
  std::optional<std::uint64_t> tasks_max;
};
inline constexpr std::uint64_t kMemoryWarnBytes = 64ULL << 20U;
Findings judge_limits(const LimitFacts& facts);
/// `pid` 0: weir does not run, or cannot be looked into; then the limits of this command.
LimitFacts look_at_limits(int pid, std::uint64_t open_files_wanted);

}  // namespace weir::doctor
