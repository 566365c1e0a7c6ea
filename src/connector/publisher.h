#pragma once

#include "base/bytes.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "connector/options.h"
#include "exporter/destination.h"
#include "mqtt/client.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::connector {

/// Publishes answers: hands messages to the client, once each, and keeps what the broker said until
/// the export asks. A message that is with the client is not handed over again when the export
/// tries once more after a lost connection, because the client sends it again by itself.
///
/// Threads: any.
class Publisher {
 public:
  /// Lifetime: everything passed outlives it.
  Publisher(const Options& options, metrics::Registry& metrics)
      : options_(options), metrics_(metrics) {}

  /// Before the first `deliver`.
  void use(mqtt::Client& client);
  /// Nothing is handed over from now on; waits a moment for what the broker has not answered yet,
  /// so that an orderly stop leaves nothing to publish twice. Blocks: at most about half a second.
  void stop() WEIR_EXCLUDES(mutex_);
  void connected() WEIR_EXCLUDES(mutex_);
  void disconnected(const std::string& why) WEIR_EXCLUDES(mutex_);
  void published(const mqtt::Published& what) WEIR_EXCLUDES(mutex_);

  /// What the broker last said against a message, in words; "" if it took the last one.
  [[nodiscard]] std::string complaint() const WEIR_EXCLUDES(mutex_);

  /// See `Destination::deliver`. Blocks: at most about 5 s, for the broker.
  exporter::Outcome deliver(const exporter::Batch& batch, const std::stop_token& stop)
      WEIR_EXCLUDES(mutex_);

 private:
  using Answer = std::optional<mqtt::Published>;  // none yet
  bool hand_over(const exporter::Message& message, exporter::RecordOutcome& outcome)
      WEIR_EXCLUDES(mutex_);
  void wait(const std::stop_token& stop) WEIR_EXCLUDES(mutex_);
  [[nodiscard]] bool all_answered() const WEIR_REQUIRES(mutex_);
  exporter::RecordOutcome judge(const mqtt::Published& answer) WEIR_REQUIRES(mutex_);

  const Options& options_;
  metrics::Registry& metrics_;

  mutable Mutex mutex_;
  CondVar changed_;
  mqtt::Client* client_ WEIR_GUARDED_BY(mutex_) = nullptr;
  bool connected_ WEIR_GUARDED_BY(mutex_) = false;
  std::string why_not_ WEIR_GUARDED_BY(mutex_) = "it was not connected yet";
  std::string complaint_ WEIR_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Answer> handed_ WEIR_GUARDED_BY(mutex_);
};

/// The destination of the answers' export. Lifetime: `publisher` outlives it.
std::unique_ptr<exporter::Destination> answers_destination(Publisher& publisher,
                                                           const Options& options);

}  // namespace weir::connector
