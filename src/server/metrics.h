#pragma once

#include "base/metrics.h"

#include <initializer_list>

/// What the wire protocol's port counts.
namespace weir::server {

inline constexpr metrics::Descriptor kConnections{"weir_server_connections", metrics::Type::kGauge,
                                                  "", "Open client connections."};
inline constexpr metrics::Descriptor kConnectionsAccepted{
    "weir_server_connections_accepted_total", metrics::Type::kCounter, "",
    "Client connections taken over from the operating system."};
inline constexpr metrics::Descriptor kConnectionsRefused{
    "weir_server_connections_refused_total", metrics::Type::kCounter, "reason",
    "Client connections closed at once because a limit was reached."};
inline constexpr metrics::Descriptor kConnectionsClosed{
    "weir_server_connections_closed_total", metrics::Type::kCounter, "reason",
    "Client connections that ended, by who or what ended them."};
inline constexpr metrics::Descriptor kAcceptPauses{
    "weir_server_accept_pauses_total", metrics::Type::kCounter, "",
    "Times accepting stopped because no file descriptor was free."};
inline constexpr metrics::Descriptor kAuthenticationFailures{
    "weir_server_authentication_failures_total", metrics::Type::kCounter, "",
    "Clients refused because their token was not accepted."};
inline constexpr metrics::Descriptor kUncheckedTokens{
    "weir_server_unchecked_tokens_total", metrics::Type::kCounter, "",
    "Clients refused because whoever knows their token (nucleus, token exchange endpoint) could "
    "not be asked."};
inline constexpr metrics::Descriptor kRequests{"weir_server_requests_total",
                                               metrics::Type::kCounter, "operation",
                                               "Requests taken up, by operation."};
inline constexpr metrics::Descriptor kErrorAnswers{"weir_server_error_answers_total",
                                                   metrics::Type::kCounter, "status",
                                                   "Answers with a status other than Success."};
inline constexpr metrics::Descriptor kReceivedBytes{
    "weir_server_received_bytes_total", metrics::Type::kCounter, "", "Bytes read from clients."};
inline constexpr metrics::Descriptor kSentBytes{
    "weir_server_sent_bytes_total", metrics::Type::kCounter, "", "Bytes written to clients."};
inline constexpr metrics::Descriptor kParkedReads{"weir_server_parked_reads", metrics::Type::kGauge,
                                                  "", "Reads waiting for messages to come."};
inline constexpr metrics::Descriptor kRequestBytes{
    "weir_server_request_buffer_bytes", metrics::Type::kGauge, "",
    "Memory held by requests that are not complete or not yet taken up."};
inline constexpr metrics::Descriptor kResponseBytes{
    "weir_server_response_buffer_bytes", metrics::Type::kGauge, "",
    "Memory held by answers that clients have not taken yet."};
inline constexpr metrics::Descriptor kLimitHits{
    "weir_server_limit_hits_total", metrics::Type::kCounter, "limit",
    "Times a limit of the server held a client back or refused a request."};

}  // namespace weir::server
