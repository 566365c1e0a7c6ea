#pragma once

#include "base/metrics.h"

/// What the admin port counts. docs/metrics.md lists all of these.
namespace weir::admin {

inline constexpr metrics::Descriptor kRequestsTotal{
    "weir_admin_requests_total", metrics::Type::kCounter, "code",
    "Answers of the admin port by HTTP status code."};
inline constexpr metrics::Descriptor kConnectionsRefusedTotal{
    "weir_admin_connections_refused_total", metrics::Type::kCounter, "",
    "Connections answered with 503 because admin.connections_max was reached."};
inline constexpr metrics::Descriptor kConnections{"weir_admin_connections", metrics::Type::kGauge,
                                                  "", "Open connections of the admin port."};

}  // namespace weir::admin
