#include "cli/telemetry.h"

#include "cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <vector>

namespace weir::cli {
namespace {

constexpr std::int64_t kSectorBytes = 512;  // of /proc/diskstats, whatever the disk's are

std::string read_file(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> all;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return all;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    all.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::int64_t to_number(std::string_view word) {
  std::int64_t value = 0;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

bool is_virtual_disk(std::string_view name) {
  constexpr std::array<std::string_view, 5> kPrefixes = {"loop", "ram", "dm-", "md", "zram"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

/// A figure that went backwards (a device came or went) counts as none.
double per_second(std::int64_t now, std::int64_t before, double elapsed_s) {
  if (elapsed_s <= 0 || now < before) return 0;
  return std::round(static_cast<double>(now - before) / elapsed_s);
}

double one_decimal(double value) { return std::round(value * 10) / 10; }

}  // namespace

void read_cpu(std::string_view proc_stat, TelemetryCounters& out) {
  const auto fields = words(take_line(proc_stat));
  if (fields.size() < 5 || fields[0] != "cpu") return;
  std::int64_t total = 0;
  // user nice system idle iowait irq softirq steal; guest time is in user already.
  for (std::size_t i = 1; i < std::min<std::size_t>(fields.size(), 9); ++i) {
    total += to_number(fields[i]);
  }
  const std::int64_t idle = to_number(fields[4]) + (fields.size() > 5 ? to_number(fields[5]) : 0);
  out.cpu_total = total;
  out.cpu_busy = total - idle;
}

void read_disks(std::string_view proc_diskstats, TelemetryCounters& out) {
  std::int64_t read = 0;
  std::int64_t written = 0;
  std::string_view disk;  // the last whole disk; its partitions follow it
  while (!proc_diskstats.empty()) {
    const auto fields = words(take_line(proc_diskstats));
    if (fields.size() < 10 || is_virtual_disk(fields[2])) continue;
    if (!disk.empty() && fields[2].starts_with(disk)) continue;
    disk = fields[2];
    read += to_number(fields[5]) * kSectorBytes;
    written += to_number(fields[9]) * kSectorBytes;
  }
  out.disk_read_bytes = read;
  out.disk_written_bytes = written;
}

void read_network(std::string_view proc_net_dev, TelemetryCounters& out) {
  std::int64_t received = 0;
  std::int64_t sent = 0;
  while (!proc_net_dev.empty()) {
    std::string_view line = take_line(proc_net_dev);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto name = words(line.substr(0, colon));
    const auto fields = words(line.substr(colon + 1));
    if (name.size() != 1 || name[0] == "lo" || fields.size() < 9) continue;
    received += to_number(fields[0]);
    sent += to_number(fields[8]);
  }
  out.network_received_bytes = received;
  out.network_sent_bytes = sent;
}

std::optional<std::int64_t> read_memory(std::string_view proc_meminfo, std::string_view name) {
  while (!proc_meminfo.empty()) {
    const auto fields = words(take_line(proc_meminfo));
    if (fields.size() < 2 || !fields[0].ends_with(':')) continue;
    if (fields[0].substr(0, fields[0].size() - 1) == name) return to_number(fields[1]) * 1024;
  }
  return std::nullopt;
}

Telemetry::Telemetry() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) host_ = name.data();
  sample(1, 0);  // so that the first real one has something to differ from
}

std::string Telemetry::sample(double elapsed_s, std::int64_t wall_ms) {
  TelemetryCounters now = before_;
  read_cpu(read_file("/proc/stat"), now);
  read_disks(read_file("/proc/diskstats"), now);
  read_network(read_file("/proc/net/dev"), now);
  const std::string memory = read_file("/proc/meminfo");
  const std::string load = read_file("/proc/loadavg");
  const auto loads = words(load);

  const std::int64_t ticks = now.cpu_total - before_.cpu_total;
  const double cpu = ticks <= 0 ? 0
                                : 100.0 * static_cast<double>(now.cpu_busy - before_.cpu_busy) /
                                      static_cast<double>(ticks);
  nlohmann::ordered_json document = {
      {"time", iso_time(wall_ms)},
      {"host", host_},
      {"cpu_percent", one_decimal(std::clamp(cpu, 0.0, 100.0))},
      {"load_1min", loads.empty() ? 0.0 : std::strtod(std::string(loads[0]).c_str(), nullptr)},
      {"memory_total_bytes", read_memory(memory, "MemTotal").value_or(0)},
      {"memory_available_bytes", read_memory(memory, "MemAvailable").value_or(0)},
      {"disk_read_bytes_per_s",
       per_second(now.disk_read_bytes, before_.disk_read_bytes, elapsed_s)},
      {"disk_written_bytes_per_s",
       per_second(now.disk_written_bytes, before_.disk_written_bytes, elapsed_s)},
      {"network_received_bytes_per_s",
       per_second(now.network_received_bytes, before_.network_received_bytes, elapsed_s)},
      {"network_sent_bytes_per_s",
       per_second(now.network_sent_bytes, before_.network_sent_bytes, elapsed_s)}};
  for (auto& [key, value] : document.items()) {
    if (key.ends_with("_per_s")) value = static_cast<std::int64_t>(value.get<double>());
  }
  before_ = now;
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace weir::cli
