#pragma once

#include "base/metrics.h"
#include "protocol/messages.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::server {

/// Why a connection ended.
enum class CloseReason : std::uint8_t {
  kClient,            ///< it closed its side, or the network did
  kMalformed,         ///< what it sent is not the protocol
  kRefused,           ///< handshake answered with an error
  kHandshakeTimeout,  ///< no complete handshake in time
  kFrameStall,        ///< half a frame, then silence
  kAnswerStall,       ///< does not take its answers
  kRequestDeadline,   ///< a request could not be answered before the client gives up on it
  kOutOfMemory,
  kShutdown,
};
inline constexpr std::size_t kCloseReasonCount = 9;

/// A limit of reliability.md §3 that a client ran into.
enum class Limit : std::uint8_t {
  kFrameBytes,
  kHandshakeFrameBytes,
  kParkedReadsPerConnection,
  kParkedReads,
  kRequestsQueued,
  kRequestBudget,
  kResponseBudget,
  kReadBytes,
};
inline constexpr std::size_t kLimitCount = 8;

/// The server's metrics, looked up once. Threads: any.
struct Instruments {
  explicit Instruments(metrics::Registry& registry);

  metrics::Gauge& connections;
  metrics::Counter& accepted;
  metrics::Counter& refused_connections_max;
  metrics::Counter& refused_unauthenticated_max;
  metrics::Counter& accept_pauses;
  metrics::Counter& authentication_failures;
  metrics::Counter& unchecked_tokens;
  metrics::Counter& received_bytes;
  metrics::Counter& sent_bytes;
  metrics::Gauge& parked_reads;
  metrics::Gauge& request_bytes;
  metrics::Gauge& response_bytes;
  std::array<metrics::Counter*, kCloseReasonCount> closed{};
  std::array<metrics::Counter*, kLimitCount> limit_hits{};
  std::array<metrics::Counter*, 18> requests{};  ///< by operation; 0 = unknown ones
  std::array<metrics::Counter*, 19> errors{};    ///< by status

  void count(CloseReason reason) { closed[static_cast<std::size_t>(reason)]->add(); }
  void count(Limit limit) { limit_hits[static_cast<std::size_t>(limit)]->add(); }
  void count_request(protocol::Operation operation, std::uint64_t n = 1) {
    requests[static_cast<std::size_t>(operation)]->add(n);
  }
  void count_error(protocol::Status status) { errors[static_cast<std::size_t>(status)]->add(); }
};

}  // namespace weir::server
