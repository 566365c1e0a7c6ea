#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What this machine is doing, from /proc; the demo publishes it.
namespace weir::cli {

/// Counters that only mean something as differences.
struct TelemetryCounters {
  std::int64_t cpu_busy = 0;   ///< ticks
  std::int64_t cpu_total = 0;  ///< ticks
  std::int64_t disk_read_bytes = 0;
  std::int64_t disk_written_bytes = 0;
  std::int64_t network_received_bytes = 0;
  std::int64_t network_sent_bytes = 0;
};

/// The readers of single files; what is missing or unreadable leaves the counters as they are.
void read_cpu(std::string_view proc_stat, TelemetryCounters& out);
void read_disks(std::string_view proc_diskstats, TelemetryCounters& out);
void read_network(std::string_view proc_net_dev, TelemetryCounters& out);
/// The value of a line such as "MemTotal:  123 kB", in bytes.
std::optional<std::int64_t> read_memory(std::string_view proc_meminfo, std::string_view name);

/// Takes a sample at a time; rates are over the time since the sample before. Threads: one.
class Telemetry {
 public:
  Telemetry();
  /// One JSON document. `elapsed_s` since the sample before, `wall_ms` for its time stamp.
  std::string sample(double elapsed_s, std::int64_t wall_ms);

 private:
  std::string host_;
  TelemetryCounters before_;
};

}  // namespace weir::cli
