#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "model/definition.h"
#include "server/loop.h"
#include "server/token_verdict.h"
#include "stream/catalog.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::server {

/// Limits and addresses of the wire protocol's port; each limit is in reliability.md §3.
struct Options {
  std::string bind_address = "127.0.0.1";
  std::int64_t port = 8088;  ///< 0 = any free one
  bool authenticate_client = true;
  std::int64_t connections_max = 4'096;
  std::int64_t unauthenticated_connections_max = 256;
  std::int64_t handshake_timeout_ms = 10'000;
  std::int64_t frame_bytes_max = 1LL << 30;
  std::int64_t request_budget_bytes = 64LL << 20;   ///< R1: frames being received or queued
  std::int64_t response_budget_bytes = 64LL << 20;  ///< R1: answers not yet taken
  std::int64_t read_bytes_soft_max = 64LL << 20;    ///< a read stops here once `min` is satisfied
  std::int64_t stall_timeout_ms = 30'000;           ///< R2, R3: frame or answer without progress
  std::int64_t parked_reads_per_connection_max = 1'000;
  std::int64_t parked_reads_max = 20'000;
  std::int64_t request_deadline_ms = 55'000;  ///< unanswered by then: close instead
  std::int64_t reader_threads = 2;
  /// The least sizeThresholdForMultipartUploadBytes of S3 exports: the configured size of parts.
  std::int64_t multipart_threshold_min = 5'242'880;
  [[nodiscard]] Result<void> validate() const;
};

/// Decides whether a client's token is good. Threads: core.
class Verifier {
 public:
  virtual ~Verifier() = default;
  /// `done` runs on the core thread, at once or later. `why` is for the log, never the token.
  using Done = std::function<void(TokenVerdict verdict, std::string why)>;
  virtual void verify(std::string token, Done done) = 0;
};

/// What the server has to know of exports. Threads: core.
class ExportStatuses {
 public:
  virtual ~ExportStatuses() = default;
  /// What the exports of a stream have done, for `describe`.
  virtual std::vector<model::ExportStatus> export_statuses(const stream::Stream& stream) = 0;
  /// Calls `done` on the core thread, maybe at once, when the export positions that the last
  /// update of `stream` moved or removed are on stable storage, or with the reason why they cannot
  /// be. Until then the update is not answered.
  using Done = std::function<void(const Result<void>&)>;
  virtual void when_settled(const stream::Stream& stream, Done done) = 0;
};

/// One connection, as the admin port shows it.
struct Counts {
  std::int64_t connections = 0;
  std::int64_t parked_reads = 0;
};

/// The stream manager protocol on a TCP port.
///
/// Threads: core only, except `port` and `counts`. Lifetime: everything in `Environment` outlives
/// it; destroy it only after the loop has stopped.
class Server : public stream::AppendSink {
 public:
  struct Environment {
    Loop& loop;
    Clock& clock;
    metrics::Registry& metrics;
    Verifier& verifier;
    ExportStatuses& exports;
  };
  /// Binds and listens; accepts nothing yet. Errors: kUnavailable (port in use, with what to do),
  /// kInvalidArgument (address).
  static Result<std::unique_ptr<Server>> bind(const Options& options, Environment environment);

  /// The port in use, also when 0 was asked for. Threads: any.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  [[nodiscard]] virtual Counts counts() const = 0;

  /// Starts accepting, on streams of `catalog`. Call on the core thread or before the loop runs.
  virtual void serve(stream::Catalog& catalog) = 0;

  /// From the catalog's observer: wakes reads that wait on this stream.
  virtual void stream_moved(stream::Stream& stream) = 0;
  virtual void stream_removed(StreamId id) = 0;

  /// Ordered stop (S5): closes the listener, answers parked reads with ServerTimeout, finishes
  /// what was received, flushes, half-closes. `done` runs when all connections are gone or the
  /// deadline has passed.
  virtual void shutdown(Instant deadline, std::function<void()> done) = 0;
};

}  // namespace weir::server
