#pragma once

#include "connector/connector.h"
#include "connector/options.h"
#include "destination/options.h"
#include "exporter/destination.h"
#include "exporter/engine.h"
#include "model/definition.h"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace weir::connector {

struct StreamRole;

/// All connectors of one weir, and which streams and exports are theirs.
class Connectors {
 public:
  /// Lifetime: what the environment refers to outlives them.
  Connectors(const std::vector<Options>& options, Environment environment);
  ~Connectors();

  /// The export that a stream of this name has because it is a connector's; none: it is not.
  /// Threads: any.
  [[nodiscard]] std::optional<model::ExportConfig> export_for(std::string_view stream) const;
  /// For the exports of queues: the region of the delivery stream and the destination that answers.
  /// Threads: any.
  void adjust(const exporter::ExportSpec& spec, destination::ExportOptions& options);
  /// `factory` with the destinations of connectors: what they answer themselves needs nobody else's
  /// policy for refused messages.
  /// `plain` makes those of queues.
  [[nodiscard]] exporter::DestinationFactory in_front_of(exporter::DestinationFactory factory,
                                                         exporter::DestinationFactory plain);

  /// Makes the streams that are missing, and starts each connector when what was sent from its
  /// queues is known. Threads: core, once.
  void start();
  /// See `Connector::stop`. Threads: not core's.
  void stop();

  [[nodiscard]] std::vector<ConnectorView> views() const;
  /// Adds what is waiting in queues. Threads: any.
  void sample(metrics::Samples& samples, const std::vector<exporter::ExportView>& exports) const;

 private:
  [[nodiscard]] Connector* find(std::string_view name) const;
  void start(Connector& connector);
  void bring_up_to_date(const Connector& connector, const stream::Stream& stream,
                        const StreamRole& role);

  const Environment environment_;
  std::vector<std::unique_ptr<Connector>> all_;
};

}  // namespace weir::connector
