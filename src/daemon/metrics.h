#pragma once

#include "base/metrics.h"

/// What the process tells about itself. docs/metrics.md lists all of these.
namespace weir::daemon {

inline constexpr metrics::Descriptor kInfo{"weir_daemon_info", metrics::Type::kGauge, "version",
                                           "Always 1; the version is in the label."};
inline constexpr metrics::Descriptor kUptimeSeconds{
    "weir_daemon_uptime_seconds", metrics::Type::kGauge, "", "Time since weir was started."};
inline constexpr metrics::Descriptor kCoreSilenceSeconds{
    "weir_daemon_core_silence_seconds", metrics::Type::kGauge, "",
    "Time since the core thread last gave a sign of life; it does so every second. /livez fails "
    "beyond 10."};
inline constexpr metrics::Descriptor kReady{
    "weir_daemon_ready", metrics::Type::kGauge, "",
    "1 while weir takes messages, 0 while it starts, stops or hangs."};
inline constexpr metrics::Descriptor kResidentMemoryBytes{"weir_daemon_resident_memory_bytes",
                                                          metrics::Type::kGauge, "",
                                                          "Memory in use by the process."};
inline constexpr metrics::Descriptor kOpenDescriptors{"weir_daemon_open_descriptors",
                                                      metrics::Type::kGauge, "",
                                                      "Open files and sockets of the process."};
inline constexpr metrics::Descriptor kDeclaredStreamFailuresTotal{
    "weir_daemon_declared_stream_failures_total", metrics::Type::kCounter, "",
    "Streams of the configuration that could not be created or updated."};

inline constexpr metrics::Descriptor kReloadsTotal{
    "weir_daemon_reloads_total", metrics::Type::kCounter, "outcome",
    "Times the configuration was read again: applied, or refused because something in it is "
    "wrong."};
inline constexpr metrics::Descriptor kConfigRefused{
    "weir_daemon_config_refused", metrics::Type::kGauge, "",
    "1 while the configuration as it was read last is refused and an older one is in force."};
inline constexpr metrics::Descriptor kConfigNeedsRestart{
    "weir_daemon_config_needs_restart_keys", metrics::Type::kGauge, "",
    "Keys of the configuration whose new values take effect when weir is restarted."};

}  // namespace weir::daemon
