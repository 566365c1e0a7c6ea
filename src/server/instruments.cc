#include "server/instruments.h"

#include "server/metrics.h"

namespace weir::server {
namespace {

using protocol::Operation;

constexpr std::array<const char*, kCloseReasonCount> kCloseReasonNames{
    "client",       "malformed",        "refused",       "handshake_timeout", "frame_stall",
    "answer_stall", "request_deadline", "out_of_memory", "shutdown"};

constexpr std::array<const char*, kLimitCount> kLimitNames{"frame_bytes",
                                                           "handshake_frame_bytes",
                                                           "parked_reads_per_connection",
                                                           "parked_reads",
                                                           "requests_queued",
                                                           "request_budget",
                                                           "response_budget",
                                                           "read_bytes"};

struct RequestName {
  Operation operation;
  const char* name;
};
constexpr std::array<RequestName, 9> kRequestNames{{
    {Operation::kUnknown, "unknown"},
    {Operation::kConnect, "connect"},
    {Operation::kCreateMessageStream, "create"},
    {Operation::kDeleteMessageStream, "delete"},
    {Operation::kAppendMessage, "append"},
    {Operation::kReadMessages, "read"},
    {Operation::kListStreams, "list"},
    {Operation::kDescribeMessageStream, "describe"},
    {Operation::kUpdateMessageStream, "update"},
}};

}  // namespace

Instruments::Instruments(metrics::Registry& registry)
    : connections(registry.gauge(kConnections)),
      accepted(registry.counter(kConnectionsAccepted)),
      refused_connections_max(registry.counter(kConnectionsRefused, {"connections_max"})),
      refused_unauthenticated_max(registry.counter(kConnectionsRefused, {"unauthenticated_max"})),
      accept_pauses(registry.counter(kAcceptPauses)),
      authentication_failures(registry.counter(kAuthenticationFailures)),
      unchecked_tokens(registry.counter(kUncheckedTokens)),
      received_bytes(registry.counter(kReceivedBytes)),
      sent_bytes(registry.counter(kSentBytes)),
      parked_reads(registry.gauge(kParkedReads)),
      request_bytes(registry.gauge(kRequestBytes)),
      response_bytes(registry.gauge(kResponseBytes)) {
  for (std::size_t i = 0; i < closed.size(); ++i) {
    closed[i] = &registry.counter(kConnectionsClosed, {kCloseReasonNames[i]});
  }
  for (std::size_t i = 0; i < limit_hits.size(); ++i) {
    limit_hits[i] = &registry.counter(kLimitHits, {kLimitNames[i]});
  }
  requests.fill(&registry.counter(kRequests, {"unknown"}));
  for (const auto& [operation, name] : kRequestNames) {
    requests[static_cast<std::size_t>(operation)] = &registry.counter(kRequests, {name});
  }
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const auto status = static_cast<protocol::Status>(i);
    errors[i] = &registry.counter(kErrorAnswers, {protocol::status_name(status)});
  }
}

}  // namespace weir::server
