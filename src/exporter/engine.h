#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "exporter/destination.h"
#include "model/definition.h"
#include "stream/stream.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weir::exporter {

struct Options {
  std::int64_t worker_count = 5;  ///< STREAM_MANAGER_EXPORTER_THREAD_POOL_SIZE
  std::int64_t backoff_first_ms = 1'000;
  std::int64_t backoff_ceiling_ms = 300'000;
  std::int64_t operator_retry_min_ms = 60'000;  ///< after the third failure in a row
  std::int64_t cursor_save_interval_ms = 1'000;
  std::int64_t batch_budget_bytes =
      std::int64_t{64} * 1024 * 1024;  ///< all batches in flight together (R1)
  [[nodiscard]] Result<void> validate() const;
};

/// Where an export stands in its life. `docs/concepts.md` explains each in words.
enum class State : std::uint8_t {
  kIdle,
  kCollecting,
  kReady,
  kInFlight,
  kBackoff,
  kStopped,
  kBroken,
  kServiceRetired,  ///< as kBroken: what it leads to does not exist any more
};
const char* state_name(State state);

/// One export as `weir status`, metrics and the dashboard show it.
struct ExportView {
  StreamId stream_id;
  std::string stream_name;
  model::ExportConfig config;
  bool on_wire = true;  ///< false for exports that exist only in weir's configuration
  model::ExportStatus status;
  State state = State::kIdle;
  std::string reason;  ///< why it waits, in plain words; empty when it does not
  std::string last_error;
  FailureClass last_failure = FailureClass::kNone;
  std::int64_t consecutive_failures = 0;
  std::int64_t next_try_in_ms = 0;
  std::int64_t ready_age_ms = 0;  ///< how long it has been waiting for a worker
  std::int64_t waiting_messages = 0;
  std::int64_t waiting_bytes = 0;
  std::int64_t oldest_waiting_append_ms = 0;  ///< wall clock; 0 = unknown or nothing waits
  bool paused = false;                        ///< by a person
  std::int64_t skipped_messages = 0;          ///< refused for good by the destination, and dropped
  std::int64_t set_aside_messages = 0;        ///< refused for good, and kept as dead letters
  std::int64_t lost_messages = 0;  ///< removed by retention or moved past before they were exported
};

/// What a person may ask of one export.
struct Order {
  enum class Kind : std::uint8_t {
    kPause,  ///< no deliveries until kResume, also after a restart
    kResume,
    kMove,      ///< go on at `to`, in either direction
    kRetryNow,  ///< do not wait any longer after a failure
  };
  /// Where kMove goes. The end is the one of what is on stable storage: a position behind it could
  /// point at other messages after a crash.
  enum class Place : std::uint8_t {
    kNumber,       ///< message `to`
    kNumberOrEnd,  ///< the same, or the end if `to` is not on stable storage yet
    kStart,        ///< the oldest message
    kBeforeEnd,    ///< `to` messages before the newest, but not behind the end
  };
  Kind kind = Kind::kPause;
  SequenceNumber to;       ///< kMove
  bool confirmed = false;  ///< kMove: messages may be sent twice, or not at all
  Place place = Place::kNumber;
};

/// Runs all exports: one scheduler thread, a pool of workers, strict priority, one delivery at a
/// time per export, cursors saved after success (reliability.md E1 to E6).
///
/// Threads: every method from any thread, none blocks on disk or network except `stop`.
class Engine {
 public:
  struct Environment {
    Clock& clock;
    metrics::Registry& metrics;
    DestinationFactory factory;
    std::uint64_t random_seed;
    /// Which part of its time, 0 to 1, the thread that serves clients is busy; deliveries leave it
    /// the processor. From any thread, also after `stop` if a delivery hangs. Null: 0.
    std::function<double()> client_load = {};
  };
  /// One export of a stream as it shall run from now on.
  struct Wanted {
    model::ExportConfig config;
    bool on_wire = true;
    /// Tell, by being different from before, that the configuration sends it elsewhere, or has
    /// other options for its destination.
    std::uint64_t route = 0;
    std::uint64_t options = 0;
  };

  static std::unique_ptr<Engine> start(const Options& options, Environment environment);
  virtual ~Engine() = default;

  /// Makes the exports of a stream exactly `wanted`: new ones start (at their saved cursor, else at
  /// startSequenceNumber), changed ones are modified, missing ones stop and lose their cursor
  /// (protocol.md §4.7). Called when a stream is opened, updated or its configuration reloaded.
  virtual void set_exports(StreamId id, const std::string& stream_name,
                           std::shared_ptr<stream::LogReader> log,
                           std::shared_ptr<stream::CursorStore> cursors,
                           std::vector<Wanted> wanted) = 0;
  /// New waits, intervals and memory for batches; the number of workers stays. What waits after a
  /// failure goes on waiting as long as it was told.
  virtual void set_options(const Options& options) = 0;
  /// Calls `done`, on a thread of the engine and maybe at once, when everything that earlier
  /// `set_exports` of this stream changed is on stable storage: positions that were moved, and the
  /// removal of those whose exports are gone (reliability.md D1). Errors: kIo (the first failure;
  /// a position is tried again all the same), kCancelled (weir stops).
  virtual void when_settled(StreamId id, std::function<void(const Result<void>&)> done) = 0;
  /// Calls `done`, on a thread of the engine, when the order is carried out and stored (D1), with a
  /// sentence that says what was done. Not called when weir has stopped. Errors: kNotFound (no such
  /// export), kInvalidArgument (`to` is not in the stream, or not yet stored), kConflict (only with
  /// `confirmed`; the text says what it would repeat or skip), kUnavailable (not in this state),
  /// kIo, kCancelled.
  virtual void give_order(StreamId id, const std::string& identifier, const Order& order,
                          std::function<void(const Result<std::string>&)> done) = 0;
  /// The stream is about to be removed: its undelivered messages are read, for exports that tell
  /// somebody about them, while they still can be. Nothing appends to it any more. Blocks: on disk.
  virtual void stream_leaving(StreamId id, const model::StreamDefinition& definition,
                              const std::shared_ptr<stream::LogReader>& log) = 0;
  /// The stream is gone; deliveries under way are interrupted.
  virtual void remove_stream(StreamId id) = 0;
  /// New durable data, or retention moved the oldest. Cheap; many calls become one.
  virtual void stream_moved(StreamId id) = 0;

  /// Latest known figures, for `describe` (wire exports in definition order) and status.
  [[nodiscard]] virtual std::vector<model::ExportStatus> statuses(StreamId id) const = 0;
  [[nodiscard]] virtual std::vector<ExportView> views() const = 0;
  /// The same for the exports of one stream.
  [[nodiscard]] virtual std::vector<ExportView> views(StreamId id) const = 0;

  /// Stops granting, interrupts deliveries, saves cursors. Blocks, at most about 5 s.
  virtual void stop() = 0;
};

}  // namespace weir::exporter
