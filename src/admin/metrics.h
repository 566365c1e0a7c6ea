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
inline constexpr metrics::Descriptor kEventStreams{
    "weir_admin_event_streams", metrics::Type::kGauge, "",
    "Long-lived answers of the admin port (server-sent events) under way."};
inline constexpr metrics::Descriptor kEventStreamsEndedTotal{
    "weir_admin_event_streams_ended_total", metrics::Type::kCounter, "reason",
    "Long-lived answers that weir ended or refused. Reasons: too_many "
    "(admin.event_streams_max), slow (the reader took nothing for 30 s)."};
inline constexpr metrics::Descriptor kUpgradesRefusedTotal{
    "weir_admin_upgrades_refused_total", metrics::Type::kCounter, "",
    "Requests to speak another protocol (WebSocket), which end their connection."};
inline constexpr metrics::Descriptor kTokensRefusedTotal{
    "weir_admin_tokens_refused_total", metrics::Type::kCounter, "reason",
    "Requests that need the admin token and did not show it. Reasons: missing, wrong."};

}  // namespace weir::admin
