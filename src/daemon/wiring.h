#pragma once

#include "base/executor.h"
#include "connector/connectors.h"
#include "daemon/config.h"
#include "daemon/local_streams.h"
#include "daemon/running_config.h"
#include "daemon/status_board.h"
#include "exporter/engine.h"
#include "server/server.h"
#include "stream/catalog.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// The small adapters between the parts, which do not know each other.
namespace weir::daemon {

/// Tells the server and the export engine what happens to streams. Threads: core.
class StreamWatcher final : public stream::Observer {
 public:
  StreamWatcher(const RunningConfig& config, StatusBoard& board, exporter::Engine& engine,
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

  /// The configuration in force is another one.
  void config_changed(stream::Stream& stream) { set_exports(stream); }

  /// From now on the server has connections that may wait for streams.
  void serving() { serving_ = true; }

 private:
  void set_exports(stream::Stream& stream);

  const RunningConfig& config_;
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

/// Creates and updates the streams that the configuration declares; with `only`, those of these
/// names. `done` runs on the core thread when all were tried, with what failed. Failures are logged
/// and counted: weir starts, and serves what there is. Threads: core. Lifetime: everything passed
/// by reference outlives `done`.
void apply_declared_streams(std::shared_ptr<const Config> config, stream::Catalog& catalog,
                            metrics::Registry& metrics, std::optional<std::set<std::string>> only,
                            std::function<void(std::vector<std::string> failures)> done);

/// The names of streams that `after` declares otherwise than `before`, or that only it declares.
std::set<std::string> declared_otherwise(const Config& before, const Config& after);

}  // namespace weir::daemon
