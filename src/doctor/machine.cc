#include "doctor/machine.h"

#include "base/clock.h"
#include "doctor/proc.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <sstream>
#include <string_view>
#include <sys/resource.h>
#include <sys/timex.h>

namespace weir::doctor {
namespace {

constexpr std::uint64_t kTasksWanted = 64;

std::optional<std::uint64_t> number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  static_cast<void>(end);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

/// The text behind `name` at the beginning of a line.
std::string_view line_after(std::string_view text, std::string_view name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(name)) return line.substr(name.size());
    at = end + 1;
  }
  return {};
}

void read_process_limits(int pid, LimitFacts& facts) {
  const std::string limits = read_proc(fmt::format("/proc/{}/limits", pid));
  std::istringstream row{std::string(line_after(limits, "Max open files"))};
  std::string soft;
  std::string hard;
  if (row >> soft >> hard) {
    facts.open_files = number(soft);
    facts.open_files_hard = number(hard);
  }
  facts.of_weir = facts.open_files.has_value();
  facts.open_files_used = count_descriptors(pid);
  // One hierarchy: "0::/system.slice/weir.service".
  const std::string groups = read_proc(fmt::format("/proc/{}/cgroup", pid));
  const std::string path(line_after(groups, "0::"));
  if (path.size() > 1 && path.find("..") == std::string::npos) {
    const std::string group = "/sys/fs/cgroup" + path;
    facts.memory_max = number(read_proc(group + "/memory.max"));
    facts.memory_used = number(read_proc(group + "/memory.current"));
    facts.tasks_max = number(read_proc(group + "/pids.max"));
  }
}

Finding judge_open_files(const LimitFacts& facts) {
  const Check check(Group::kMachine, "open-files");
  if (!facts.open_files) return check.skipped("the limit of open files cannot be read");
  const std::uint64_t limit =
      facts.of_weir ? *facts.open_files : facts.open_files_hard.value_or(*facts.open_files);
  std::string seen = fmt::format("{} open files allowed", limit);
  if (facts.open_files_used) seen += fmt::format(", {} used", *facts.open_files_used);
  if (limit < facts.open_files_wanted) {
    seen += fmt::format("; the configuration may need {}", facts.open_files_wanted);
    return check.warning(std::move(seen),
                         "set LimitNOFILE=65536 in the systemd unit, or lower "
                         "store.open_files_max and server.connections_max");
  }
  if (facts.open_files_used && *facts.open_files_used * 10 > limit * 9) {
    return check.error(std::move(seen), "set LimitNOFILE=65536 in the systemd unit and restart");
  }
  return check.ok(std::move(seen));
}

Finding judge_memory(const LimitFacts& facts) {
  const Check check(Group::kMachine, "memory");
  std::string seen = facts.memory_available == 0
                         ? "free memory is not known"
                         : bytes_text(facts.memory_available) + " available";
  std::uint64_t left = facts.memory_available;
  if (facts.memory_max && facts.memory_used) {
    seen += fmt::format("; weir uses {} of the {} that systemd allows",
                        bytes_text(*facts.memory_used), bytes_text(*facts.memory_max));
    const std::uint64_t own =
        *facts.memory_max > *facts.memory_used ? *facts.memory_max - *facts.memory_used : 0;
    left = facts.memory_available == 0 ? own : std::min(left, own);
  }
  if (facts.memory_available == 0 && !facts.memory_max) return check.skipped(std::move(seen));
  if (left < kMemoryWarnBytes) {
    return check.warning(std::move(seen), facts.memory_max
                                              ? "raise MemoryMax= of the unit, or free memory"
                                              : "end what is not needed on this machine");
  }
  return check.ok(std::move(seen));
}

}  // namespace

Findings judge_clock(const ClockFacts& facts) {
  const Check check(Group::kMachine, "clock");
  const char* const fix = "set the clock: timedatectl set-ntp true; is a time server reachable?";
  if (facts.wall_ms < kReleasedMs) {
    return {check.error(fmt::format("the clock is before this version of weir was made (by {})",
                                    time_text(kReleasedMs - facts.wall_ms)),
                        fix)};
  }
  if (facts.readings.empty()) {
    if (facts.synchronised == true) return {check.ok("synchronised")};
    if (facts.synchronised == false) {
      return {check.warning("plausible, but not synchronised with a time server", fix)};
    }
    return {check.ok("plausible; there was no answer to compare with")};
  }
  // The nearest one counts: a single server may be wrong itself.
  const auto nearest = std::min_element(
      facts.readings.begin(), facts.readings.end(),
      [](const auto& a, const auto& b) { return std::abs(a.ahead_ms) < std::abs(b.ahead_ms); });
  const std::int64_t off = std::abs(nearest->ahead_ms);
  const std::string seen = fmt::format(
      "{} {} {}", time_text(off), nearest->ahead_ms > 0 ? "behind" : "ahead of", nearest->server);
  if (off > kClockErrorMs) return {check.error(seen, fix)};
  if (off > kClockWarnMs) {
    return {check.warning(seen + "; weir signs with their time, but stores messages with this one",
                          fix)};
  }
  // Dates of answers have whole seconds, and the answer took a while.
  return {check.ok(fmt::format("agrees with {}{}", nearest->server,
                               off < 2'000 ? "" : " to " + time_text(off)))};
}

ClockFacts look_at_clock() {
  ClockFacts facts;
  facts.wall_ms = SystemClock().wall_ms();
  timex state{};
  if (const int result = ::adjtimex(&state); result >= 0) {
    facts.synchronised = (state.status & STA_UNSYNC) == 0;
  }
  return facts;
}

Findings judge_limits(const LimitFacts& facts) {
  Findings found{judge_open_files(facts), judge_memory(facts)};
  if (facts.tasks_max && *facts.tasks_max < kTasksWanted) {
    found.push_back(Check(Group::kMachine, "threads")
                        .warning(fmt::format("systemd allows weir {} threads", *facts.tasks_max),
                                 fmt::format("set TasksMax={} or more in the unit", kTasksWanted)));
  }
  return found;
}

LimitFacts look_at_limits(int pid, std::uint64_t open_files_wanted) {
  LimitFacts facts;
  facts.open_files_wanted = open_files_wanted;
  if (pid != 0) read_process_limits(pid, facts);
  if (!facts.open_files) {
    rlimit own{};
    if (::getrlimit(RLIMIT_NOFILE, &own) == 0) {
      facts.open_files = own.rlim_cur;
      facts.open_files_hard = own.rlim_max;
    }
  }
  const std::string memory = read_proc("/proc/meminfo");
  facts.memory_available = number(line_after(memory, "MemAvailable:")).value_or(0) * 1'024;
  return facts;
}

}  // namespace weir::doctor
