#pragma once

#include "base/metrics.h"

/// Metrics of the folder; docs/metrics.md lists all. They exist only where weir runs under a
/// Greengrass nucleus.
namespace weir::greengrass::metric {

using metrics::Descriptor;
using metrics::Type;

inline constexpr Descriptor kConnected{"weir_greengrass_connected", Type::kGauge, "",
                                       "1 while the nucleus accepts weir on its socket."};
inline constexpr Descriptor kConnections{
    "weir_greengrass_connections_total", Type::kCounter, "result",
    "Connections to the nucleus by result: accepted, or failed (not there, or it does not let weir "
    "in)."};
inline constexpr Descriptor kRequests{
    "weir_greengrass_requests_total", Type::kCounter, "operation,result",
    "Requests to the nucleus by result: ok, refused (answered with an error), unanswered (not "
    "there, gone or too slow) or busy (not sent, too many were under way)."};
inline constexpr Descriptor kTelemetryBytes{
    "weir_greengrass_telemetry_bytes_total", Type::kCounter, "name",
    "Bytes reported to the nucleus under the names that the original stream manager uses."};

}  // namespace weir::greengrass::metric
