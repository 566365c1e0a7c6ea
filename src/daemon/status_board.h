#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "connector/connector.h"
#include "daemon/config.h"
#include "daemon/reloader.h"
#include "destination/credentials.h"
#include "exporter/engine.h"
#include "file/file_system.h"
#include "greengrass/component.h"
#include "server/server.h"
#include "stream/stream.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// What /status shows of the streams, readable without asking the core thread: that one may be
/// stuck just when somebody wants to know why.
class StatusBoard {
 public:
  /// Threads: core.
  void stream_changed(stream::Stream& stream);
  void stream_removed(StreamId id);
  /// Faults may come and go without a change of definition; the daemon refreshes them when asked.
  void refresh_faults(const std::vector<stream::Stream*>& streams);
  /// Sees how many messages each stream got, once in `kMeasureInterval` however often it is called.
  void measure(Instant now);
  static constexpr Duration kMeasureInterval = std::chrono::seconds(10);

  struct Row {
    StreamId id;
    std::string name;
    std::int64_t max_size = 0;
    model::Persistence persistence = model::Persistence::kFile;
    model::StrategyOnFull on_full = model::StrategyOnFull::kRejectNewData;
    std::int64_t time_to_live_ms = 0;  ///< 0 = none
    std::string fault;
    std::int64_t lost_messages = 0;
    double appended_per_s = 0;  ///< over the last `kMeasureInterval` that is complete
    SequenceNumber measured_end;
    std::shared_ptr<stream::LogReader> log;
  };
  /// Ascending by name. Threads: any.
  [[nodiscard]] std::vector<Row> rows() const;
  /// The one with the next higher id; none: there is no more. Threads: any.
  [[nodiscard]] std::optional<Row> next(StreamId after) const;
  /// Threads: any.
  [[nodiscard]] std::optional<Row> find(std::string_view name) const;

 private:
  mutable Mutex mutex_;
  std::map<StreamId, Row> rows_ WEIR_GUARDED_BY(mutex_);
  Instant measured_{};
};

/// Figures of the whole process for `status_json`.
struct ProcessStatus {
  std::int64_t uptime_ms = 0;
  std::string store_directory;
  std::string admin_token_file;  ///< "": orders are not taken
  file::Space space;
  std::uint16_t server_port = 0;
  server::Counts server;
  std::int64_t wall_ms = 0;
  std::vector<destination::CredentialsView> credentials;
  std::optional<greengrass::View> nucleus;  ///< none: no nucleus started weir
  const Config* config = nullptr;           ///< the one in force; names the redirects; null = none
  Reloader::State reload;
  std::vector<stream::UnavailableStream> unavailable;
  std::vector<connector::ConnectorView> connectors;
};

/// The document that /status answers and `weir status` renders. Threads: any.
std::string status_json(const ProcessStatus& process, const std::vector<StatusBoard::Row>& streams,
                        const std::vector<exporter::ExportView>& exports);

/// What GET /log answers: the newest warnings and errors. Threads: any.
std::string recent_log_json();

}  // namespace weir::daemon
