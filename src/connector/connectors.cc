#include "connector/connectors.h"

#include "base/log.h"
#include "connector/metrics.h"
#include "connector/sender.h"
#include "connector/streams.h"
#include "destination/aws_client.h"
#include "stream/catalog.h"

#include <algorithm>
#include <map>
#include <utility>

namespace weir::connector {

Connectors::Connectors(const std::vector<Options>& options, Environment environment)
    : environment_(std::move(environment)) {
  for (const Options& one : options) {
    all_.push_back(std::make_unique<Connector>(one, environment_));
  }
}
Connectors::~Connectors() = default;

Connector* Connectors::find(std::string_view name) const {
  const auto found = std::find_if(all_.begin(), all_.end(),
                                  [&](const auto& one) { return one->options().name == name; });
  return found == all_.end() ? nullptr : found->get();
}

std::optional<model::ExportConfig> Connectors::export_for(std::string_view stream) const {
  const auto role = role_of_stream(stream);
  const Connector* connector = role ? find(role->connector) : nullptr;
  if (connector == nullptr) return std::nullopt;
  return export_of(connector->options(), *role);
}

void Connectors::adjust(const exporter::ExportSpec& spec, destination::ExportOptions& options) {
  const auto role = role_of_stream(spec.stream_name);
  Connector* connector = role ? find(role->connector) : nullptr;
  if (connector == nullptr || role->kind != StreamRole::Kind::kQueue ||
      spec.config.identifier != kQueueExport) {
    return;
  }
  options.redirect.reset();
  options.aws.region = role->target.region;
  options.firehose = {};
  options.firehose.make = [this, connector,
                           target = role->target](std::unique_ptr<destination::AwsClient> client)
      -> Result<std::unique_ptr<exporter::Destination>> {
    return std::make_unique<Sender>(
        Sender::Setup{target, std::move(client)},
        Sender::Surroundings{connector->options(), environment_.appends, connector->progress(),
                             environment_.metrics});
  };
}

exporter::DestinationFactory Connectors::in_front_of(exporter::DestinationFactory factory,
                                                     exporter::DestinationFactory plain) {
  return [this, factory = std::move(factory), plain = std::move(plain)](
             const exporter::ExportSpec& spec) -> Result<std::unique_ptr<exporter::Destination>> {
    const auto role = role_of_stream(spec.stream_name);
    Connector* connector = role ? find(role->connector) : nullptr;
    if (connector == nullptr) return factory(spec);
    const bool answers = role->kind == StreamRole::Kind::kAnswers;
    if (spec.config.identifier != (answers ? kAnswersExport : kQueueExport)) return factory(spec);
    if (!answers) return plain(spec);
    return answers_destination(connector->publisher(), connector->options());
  };
}

void Connectors::start() {
  for (const stream::Stream* stream : environment_.appends.catalog()->streams()) {
    const auto role = role_of_stream(stream->definition().name);
    if (!role) continue;
    Connector* connector = find(role->connector);
    if (connector == nullptr) {
      log::warn("A stream belongs to a connector that is not configured; nothing sends it.",
                {{"stream", stream->definition().name}, {"connector", role->connector}});
      continue;
    }
    if (role->kind == StreamRole::Kind::kQueue &&
        role->memory == connector->options().memory_only) {
      connector->adopt(role->target);
    }
    bring_up_to_date(*connector, *stream, *role);
  }
  for (const auto& connector : all_) start(*connector);
}

// Queues grow with their configuration and never shrink: that could remove what was not sent.
void Connectors::bring_up_to_date(const Connector& connector, const stream::Stream& stream,
                                  const StreamRole& role) {
  if (role.kind == StreamRole::Kind::kQueue && role.memory != connector.options().memory_only) {
    return;  // the kind it was before; it drains as it is
  }
  const model::StreamDefinition present = model::with_defaults(stream.definition());
  model::StreamDefinition wanted = role.kind == StreamRole::Kind::kQueue
                                       ? queue_definition(connector.options(), role.target)
                                       : answers_definition(connector.options());
  wanted.exports = present.exports;
  wanted.time_to_live_ms = present.time_to_live_ms;
  wanted.max_size = std::max(present.max_size_or_default(), wanted.max_size_or_default());
  wanted.stream_segment_size = present.segment_size_or_default();
  if (model::with_defaults(wanted) == present) return;
  environment_.appends.catalog()->update(wanted, [name = wanted.name](const Result<void>& updated) {
    if (updated) return;
    log::warn("A stream of a connector cannot be brought to what the configuration says.",
              {{"stream", name}, {"error", updated.error().what}});
  });
}

// The two streams that every connector has, then the positions in all of its streams, then the
// broker: the first record must find the right number of records waiting.
void Connectors::start(Connector& connector) {
  const auto& options = connector.options();
  auto settle = [this, &connector] {
    stream::Catalog* catalog = environment_.appends.catalog();
    if (catalog == nullptr) return;
    auto left = std::make_shared<std::size_t>(1);
    const auto one_less = [this, &connector, left] {
      environment_.core.post([&connector, left] {
        if (--*left == 0) connector.start();
      });
    };
    for (const stream::Stream* stream : catalog->streams()) {
      const auto role = role_of_stream(stream->definition().name);
      if (!role || role->connector != connector.options().name) continue;
      ++*left;
      environment_.when_settled(stream->id(), one_less);
    }
    one_less();
  };
  environment_.appends.open(
      answers_definition(options),
      [this, &options, settle](const Result<stream::Stream*>& answers) {
        if (!answers) {
          log::warn("The stream for a connector's answers cannot be made yet.",
                    {{"connector", options.name}, {"error", answers.error().what}});
        }
        environment_.appends.open(
            queue_definition(options, options.default_target),
            [&options, settle](const Result<stream::Stream*>& queue) {
              if (!queue) {
                log::warn("The queue of a connector cannot be made yet.",
                          {{"connector", options.name}, {"error", queue.error().what}});
              }
              settle();
            });
      });
}

void Connectors::stop() {
  for (const auto& connector : all_) connector->stop();
}

std::vector<ConnectorView> Connectors::views() const {
  std::vector<ConnectorView> views;
  views.reserve(all_.size());
  for (const auto& connector : all_) views.push_back(connector->view());
  return views;
}

void Connectors::sample(metrics::Samples& samples,
                        const std::vector<exporter::ExportView>& exports) const {
  // An ARN may have a queue on the disk and one in memory, from before memory_only was changed.
  std::map<std::pair<std::string, std::string>, std::pair<std::int64_t, std::int64_t>> queues;
  for (const auto& view : exports) {
    const auto role = role_of_stream(view.stream_name);
    if (!role || role->kind != StreamRole::Kind::kQueue) continue;
    if (view.config.identifier != kQueueExport || find(role->connector) == nullptr) continue;
    auto& [records, bytes] = queues[{role->connector, role->target.text()}];
    records += view.waiting_messages;
    bytes += view.waiting_bytes;
  }
  for (const auto& [labels, waiting] : queues) {
    const auto& [connector, arn] = labels;
    samples.add(kQueueRecords, {connector, arn}, static_cast<double>(waiting.first));
    samples.add(kQueueBytes, {connector, arn}, static_cast<double>(waiting.second));
  }
  for (const auto& connector : all_) {
    const ConnectorView view = connector->view();
    samples.add(kUnacknowledgedMessages, {view.name},
                static_cast<double>(view.unacknowledged_messages));
  }
}

}  // namespace weir::connector
