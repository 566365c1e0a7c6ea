#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "exporter/engine.h"
#include "exporter/exporter.h"
#include "stream/stream.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir::exporter {

/// What is known of every export, for those who ask: `describe`, `weir status`, the metrics. The
/// scheduler publishes here, so that nobody waits for it.
///
/// Threads: any.
class StatusBoard {
 public:
  /// Lifetime: `clock` outlives the board.
  explicit StatusBoard(Clock& clock) : clock_(clock) {}

  /// Makes the rows of a stream exactly `wanted`, in this order. What is known of an export that
  /// stays is kept; until the scheduler has placed a new one it shows its position in `saved`, else
  /// its start value, so that a client that asks right after a restart sees no step back (E2).
  void set(StreamId id, const std::string& stream_name, std::shared_ptr<stream::LogReader> log,
           const std::vector<Engine::Wanted>& wanted,
           const std::vector<stream::Cursor>& saved = {});
  void remove(StreamId id);
  /// Takes over the state of one export; ignored if it is not wanted any more.
  void publish(StreamId id, const Exporter& exporter);

  [[nodiscard]] std::vector<model::ExportStatus> statuses(StreamId id) const;
  /// By stream name, then in definition order. Figures of the log are of this moment.
  [[nodiscard]] std::vector<ExportView> views() const;
  /// Of one stream, in definition order.
  [[nodiscard]] std::vector<ExportView> views(StreamId id) const;
  /// One sample of every per-export metric for each export.
  void collect(metrics::Samples& samples) const;

 private:
  struct Row {
    model::ExportConfig config;
    bool on_wire = true;
    bool placed = false;
    bool paused = false;
    bool resending = false;
    model::ExportStatus status;
    State state = State::kIdle;
    std::string broken;
    FailureClass last_failure = FailureClass::kNone;
    std::int64_t consecutive_failures = 0;
    std::optional<Instant> retry_at;
    std::optional<Instant> ready_since;
    std::int64_t batch_messages = 0;
    std::int64_t skipped_messages = 0;
    std::int64_t set_aside_messages = 0;
    std::int64_t lost_messages = 0;
  };
  struct StreamRows {
    std::string name;
    std::shared_ptr<stream::LogReader> log;
    std::vector<Row> rows;
  };

  void add_views(StreamId id, Instant now, std::vector<ExportView>& views) const;
  [[nodiscard]] static ExportView view_of(StreamId id, const StreamRows& stream, const Row& row,
                                          Instant now);
  [[nodiscard]] static std::string reason_of(const Row& row, const ExportView& view);

  Clock& clock_;
  mutable Mutex mutex_;
  std::unordered_map<StreamId, StreamRows> streams_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::exporter
