#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/result.h"
#include "connector/appends.h"
#include "connector/intake.h"
#include "connector/options.h"
#include "connector/progress.h"
#include "connector/publisher.h"
#include "connector/reader.h"
#include "mqtt/client.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::connector {

/// One connector as `weir status` shows it; its queues are streams with an export each.
struct ConnectorView {
  enum class State : std::uint8_t { kStarting, kConnected, kDisconnected, kBroken, kStopped };
  std::string name;
  std::string broker;
  mqtt::Version mqtt_version = mqtt::Version::k5;
  int version = 5;
  std::string default_arn;
  State state = State::kStarting;
  std::string reason;  ///< why it does not do all it should, in words; "" if it does
  std::int64_t next_try_in_ms = 0;
  std::int64_t unacknowledged_messages = 0;
};
const char* state_name(ConnectorView::State state);

/// Everything connectors need of the rest of weir; outlives them.
struct Environment {
  Executor& core;
  Clock& clock;
  metrics::Registry& metrics;
  Appends& appends;
  std::function<Result<std::unique_ptr<mqtt::Client>>(mqtt::Options)> make_client;
  /// Runs work on the core thread later. Threads: core.
  std::function<void(Duration, std::function<void()>)> later;
  /// Up to where the export of a queue has come. Threads: core.
  std::function<SequenceNumber(const stream::Stream&)> sent_below;
  /// Calls `done`, on any thread, when the positions of a stream's exports are known.
  std::function<void(StreamId, std::function<void()> done)> when_settled;
  /// Ends an export's wait after a failure. Threads: core.
  std::function<void(StreamId, const std::string& identifier)> retry_now;
};

/// The Kinesis Firehose connector: from the client's messages to acknowledged ones, and answers
/// back. Sending is the export engine's.
///
/// Threads: listener calls on the client's; the rest as said.
class Connector final : public mqtt::Listener {
 public:
  /// Messages handed to the core thread and not yet released take this much at most, and one read
  /// of the socket; then the client's thread waits, and with it the broker.
  static constexpr std::size_t kWaitingBytesMax = std::size_t{16} << 20;

  Connector(Options options, const Environment& environment);
  ~Connector() override;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  [[nodiscard]] const Options& options() const { return options_; }

  /// A queue that was there already. Threads: core, before `start`.
  void adopt(const DeliveryStreamArn& target) { intake_.adopt(target); }
  /// Begins to connect; if files that it needs cannot be read, again every half minute.
  /// Threads: core.
  void start();
  /// Takes no more messages, waits a moment until those on their way are safe and acknowledged,
  /// and disconnects. Threads: any but core and the client's. Blocks: about a second at most, and
  /// for the client's end.
  void stop();

  [[nodiscard]] Publisher& publisher() { return publisher_; }
  [[nodiscard]] Progress& progress() { return progress_; }
  [[nodiscard]] ConnectorView view() const;

  void on_connected(bool session_present) override;
  void on_disconnected(const Error& why, Duration next_try) override;
  void on_filter_refused(std::string_view filter, std::uint8_t reason) override;
  void on_filter_granted(std::string_view filter) override;
  void on_arrival(const mqtt::Arrival& arrival) override;
  void on_too_large(std::string_view topic, std::uint64_t packet_bytes) override;
  void on_arrivals_end() override;
  void on_published(const mqtt::Published& published) override;

 private:
  void note_refusal(std::string_view topic, std::uint64_t bytes, const char* reason);
  void pass_on_if_large();
  void pass_on();
  void release(std::vector<mqtt::Receipt> receipts, std::size_t bytes);
  std::shared_ptr<mqtt::Client> client() const;
  void wake_answers();

  const Options options_;
  const Environment environment_;
  Publisher publisher_;
  Progress progress_;
  Intake intake_;  // core's

  metrics::Counter& first_messages_;
  metrics::Counter& repeated_messages_;
  metrics::Counter& retained_messages_;

  // The client's thread.
  Reader reader_;
  std::shared_ptr<Group> group_;

  std::atomic<bool> draining_{false};
  mutable Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<mqtt::Client> client_ WEIR_GUARDED_BY(mutex_);
  bool stopped_ WEIR_GUARDED_BY(mutex_) = false;
  std::size_t waiting_bytes_ WEIR_GUARDED_BY(mutex_) = 0;
  std::size_t waiting_messages_ WEIR_GUARDED_BY(mutex_) = 0;
  ConnectorView::State state_ WEIR_GUARDED_BY(mutex_) = ConnectorView::State::kStarting;
  std::string reason_ WEIR_GUARDED_BY(mutex_);
  std::map<std::string, std::string> refused_filters_ WEIR_GUARDED_BY(mutex_);
  Instant next_try_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::connector
