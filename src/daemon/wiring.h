#pragma once

#include "base/executor.h"
#include "connector/connectors.h"
#include "daemon/config.h"
#include "daemon/local_streams.h"
#include "daemon/status_board.h"
#include "exporter/engine.h"
#include "server/server.h"
#include "stream/catalog.h"

#include <atomic>
#include <string>
#include <vector>

/// The small adapters between the parts, which do not know each other.
namespace weir::daemon {

/// Tells the server and the export engine what happens to streams. Threads: core.
class StreamWatcher final : public stream::Observer {
 public:
  StreamWatcher(const Config& config, StatusBoard& board, exporter::Engine& engine,
                server::Server& server, CatalogStreams& local,
                const connector::Connectors& connectors)
      : config_(config),
        board_(board),
        engine_(engine),
        server_(server),
        local_(local),
        connectors_(connectors) {}

  void stream_opened(stream::Stream& stream) override;
  void stream_updated(stream::Stream& stream) override;
  void stream_removed(StreamId id, const std::string& name) override;
  void visible_moved(stream::Stream& stream) override;
  void durable_moved(stream::Stream& stream) override;

  /// From now on the server has connections that may wait for streams.
  void serving() { serving_ = true; }

 private:
  void set_exports(stream::Stream& stream);

  const Config& config_;
  StatusBoard& board_;
  exporter::Engine& engine_;
  server::Server& server_;
  CatalogStreams& local_;
  const connector::Connectors& connectors_;
  bool serving_ = false;
};

/// The exports to run for a stream: what its definition says, where the configuration declares
/// more than clients may see (short intervals, exports of weir's own) that as well.
std::vector<exporter::Engine::Wanted> wanted_exports(const Config& config,
                                                     const model::StreamDefinition& definition);

/// What the server asks the export engine; statuses are one per export of the definition, in its
/// order. Lifetime: the engine and the core thread's executor outlive every answer.
class EngineStatuses final : public server::ExportStatuses {
 public:
  void use(exporter::Engine& engine, Executor& core) {
    engine_ = &engine;
    core_ = &core;
  }
  std::vector<model::ExportStatus> export_statuses(const stream::Stream& stream) override;
  void when_settled(const stream::Stream& stream, Done done) override;

 private:
  Executor* core_ = nullptr;
  exporter::Engine* engine_ = nullptr;
};

/// Creates and updates the streams that the configuration declares, one after the other.
/// `done` runs on the core thread when all were tried. Failures are logged and counted: weir
/// starts, and serves what there is. Threads: core. Lifetime: everything passed outlives `done`.
void apply_declared_streams(const Config& config, stream::Catalog& catalog,
                            metrics::Registry& metrics, std::function<void()> done);

}  // namespace weir::daemon
