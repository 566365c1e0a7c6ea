#pragma once

#include "base/metrics.h"
#include "exporter/exporter.h"

#include <string>

namespace weir::exporter {

/// Says in logs and counters what happened to exports, so that the state machine need not.
///
/// Threads: any; log lines may block on standard error.
class Reporter {
 public:
  /// Lifetime: `metrics` outlives the reporter.
  explicit Reporter(metrics::Registry& metrics) : metrics_(metrics) {}

  void settled(const std::string& stream, const Exporter& exporter,
               const Exporter::Settled& settled);
  /// Retention overtook the export by `messages`.
  void overtaken(const std::string& stream, const Exporter& exporter, std::int64_t messages);
  void broken(const std::string& stream, const Exporter& exporter);
  void started(const std::string& stream, const Exporter& exporter, bool from_saved_position,
               bool position_expected);
  void repositioned(const std::string& stream, const Exporter& exporter, SequenceNumber from);
  void paused(const std::string& stream, const Exporter& exporter);
  void resumed(const std::string& stream, const Exporter& exporter);
  /// A person moved the position; `passed` messages will not be sent.
  void moved(const std::string& stream, const Exporter& exporter, SequenceNumber from,
             std::int64_t passed);
  void removed(const std::string& stream, const std::string& identifier);
  void cursor_saved(const std::string& stream, const std::string& identifier,
                    const Result<void>& outcome);
  void under_way(std::size_t deliveries, std::int64_t reserved_bytes);

 private:
  metrics::Registry& metrics_;
};

}  // namespace weir::exporter
