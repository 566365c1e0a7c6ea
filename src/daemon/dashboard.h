#pragma once

#include "admin/admin.h"
#include "base/clock.h"
#include "connector/connector.h"
#include "daemon/status_board.h"
#include "daemon/tap.h"
#include "destination/credentials.h"
#include "exporter/engine.h"
#include "file/file_system.h"
#include "server/reader_pool.h"
#include "stream/stream.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// What the admin port's dashboard reads and orders, from the parts that know and do it. Nothing
/// here waits for another thread.
///
/// Threads: made and destroyed on one; what it gives to the admin port runs on the admin thread.
class Dashboard {
 public:
  /// Each is called on the admin thread and must not wait; all outlive the admin port.
  struct Environment {
    Clock& clock;
    StatusBoard& board;
    Taps& taps;
    std::function<std::vector<exporter::ExportView>(StreamId)> exports;
    /// Where the configuration sends an export instead; "" if nowhere else.
    std::function<std::string(const std::string& stream, const model::ExportConfig&)> redirected_to;
    std::function<std::vector<destination::CredentialsView>()> credentials;
    std::function<std::vector<connector::ConnectorView>()> connectors;
    std::function<std::vector<stream::UnavailableStream>()> unavailable;
    /// The rest: all but the lists and what the process itself knows.
    std::function<admin::WeirFigures()> process;
    /// Runs work on the core thread.
    std::function<void(std::function<void()>)> on_core;
    /// Brings the faults that the board shows up to date. Threads: core.
    std::function<void()> refresh_faults;
    /// Threads: core, as `done`.
    std::function<void(const std::string& name, std::function<void(Result<void>)> done)>
        remove_stream;
  };
  explicit Dashboard(Environment environment);
  ~Dashboard();
  Dashboard(const Dashboard&) = delete;
  Dashboard& operator=(const Dashboard&) = delete;

  /// Adds the figures, /tail, /tap and the order to delete a stream.
  void add_to(admin::Sources& sources);

 private:
  class NewestTimes;
  [[nodiscard]] admin::WeirFigures weir();
  [[nodiscard]] std::optional<admin::StreamFigures> next_stream(std::uint64_t after);
  [[nodiscard]] admin::ExportFigures figures_of(const exporter::ExportView& view,
                                                std::int64_t wall_ms) const;
  void refresh_faults();
  void take_stream_order(std::string_view body, admin::Reply reply);

  const Environment environment_;
  const std::string host_;
  const std::shared_ptr<std::atomic<bool>> refreshing_ = std::make_shared<std::atomic<bool>>(false);
  server::ReaderPool readers_{1};  // for what is not in the page cache
  std::unique_ptr<NewestTimes> newest_times_;
};

/// GET /tap?stream=NAME&export=IDENTIFIER (or export=NAME/IDENTIFIER): what an export sends.
///
///     event: batch   {"time_ms","stream","export","destination","first","last","messages","bytes",
///                     "outcome":"sent"|"failed","error","sample":[{"sequence","payload_base64",
///                     "payload_bytes"}...]}
///     event: missed  {"batches":7}   more were sent than this reader has taken
///
/// Errors: kInvalidArgument, kNotFound. Lifetime: the taps outlive what is opened.
Result<std::unique_ptr<admin::EventSource>> open_tap(std::string_view query,
                                                     const Dashboard::Environment& environment);

}  // namespace weir::daemon
