#include "connector/streams.h"

#include <algorithm>
#include <array>

namespace weir::connector {
namespace {

constexpr std::string_view kQueuePrefix = "firehose-queue.";
constexpr std::string_view kMemoryPrefix = "firehose-memory.";
constexpr std::string_view kAnswersPrefix = "firehose-answers.";

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kSegmentBytesMax = 16 * kMiB;
constexpr std::int64_t kSegmentBytesMin = 2 * kMiB;  // the largest record and its id fit
constexpr std::int64_t kAnswersBytes = 16 * kMiB;
constexpr std::int64_t kAnswersSegmentBytes = 4 * kMiB;
constexpr std::int64_t kRecordsPerCall = 500;
constexpr std::int64_t kMsPerSecond = 1'000;

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string queue_stream_name(const std::string& connector, bool memory,
                              const DeliveryStreamArn& target) {
  return std::string(memory ? kMemoryPrefix : kQueuePrefix) + connector + "." + target.partition +
         "." + target.region + "." + target.account + "." + target.name;
}

std::string answers_stream_name(const std::string& connector) {
  return std::string(kAnswersPrefix) + connector;
}

std::optional<StreamRole> role_of_stream(std::string_view name) {
  StreamRole role;
  if (take_prefix(name, kAnswersPrefix)) {
    if (name.empty() || name.find('.') != std::string_view::npos) return std::nullopt;
    role.kind = StreamRole::Kind::kAnswers;
    role.connector = name;
    return role;
  }
  role.memory = take_prefix(name, kMemoryPrefix);
  if (!role.memory && !take_prefix(name, kQueuePrefix)) return std::nullopt;
  std::array<std::string_view, 4> parts;
  for (auto& part : parts) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos || dot == 0) return std::nullopt;
    part = name.substr(0, dot);
    name.remove_prefix(dot + 1);
  }
  role.connector = parts[0];
  role.target = {std::string(parts[1]), std::string(parts[2]), std::string(parts[3]),
                 std::string(name)};
  if (!parse_arn(role.target.text())) return std::nullopt;
  return role;
}

model::StreamDefinition queue_definition(const Options& options, const DeliveryStreamArn& target) {
  const std::int64_t bytes = options.queue_bytes_in_force();
  const std::int64_t segment = std::clamp(bytes / 8, kSegmentBytesMin, kSegmentBytesMax);
  model::StreamDefinition definition;
  definition.name = queue_stream_name(options.name, options.memory_only, target);
  definition.max_size = bytes + 3 * segment;
  definition.stream_segment_size = segment;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  definition.persistence =
      options.memory_only ? model::Persistence::kMemory : model::Persistence::kFile;
  definition.flush_on_write = options.flush_in_force();
  return definition;
}

model::StreamDefinition answers_definition(const Options& options) {
  model::StreamDefinition definition;
  definition.name = answers_stream_name(options.name);
  definition.max_size = kAnswersBytes;
  definition.stream_segment_size = kAnswersSegmentBytes;
  definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
  definition.persistence = model::Persistence::kFile;
  // A batch is answered once; the flush makes the answer go out at once, too.
  definition.flush_on_write = true;
  return definition;
}

model::ExportConfig export_of(const Options& options, const StreamRole& role) {
  model::ExportConfig config;
  if (role.kind == StreamRole::Kind::kAnswers) {
    config.type = model::ExportType::kMqtt;
    config.identifier = kAnswersExport;
    config.target = options.status_topic;
    return config;
  }
  config.type = model::ExportType::kFirehose;
  config.identifier = kQueueExport;
  config.target = role.target.name;
  config.batch_size = kRecordsPerCall;
  if (!options.one_by_one()) {
    config.batch_interval_ms = options.publish_interval_s * kMsPerSecond;
  }
  return config;
}

}  // namespace weir::connector
