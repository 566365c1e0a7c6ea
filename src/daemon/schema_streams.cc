#include "daemon/schema.h"
#include "daemon/schema_builder.h"

#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace weir::daemon {

using build::list;
using build::live;
using build::of_kind;
using build::one_of;
using build::required;
using build::with_sample;
using build::within;
using model::ExportType;

namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kTimeMaxMs = 9'223'372'036'854;

Key target_key(std::string name, std::string doc, std::string sample) {
  return with_sample(std::move(sample), of_kind(Kind::kText, std::move(name), std::move(doc), "",
                                                [](Target& t, const Value& v) {
                                                  t.declared_export->config.target = v.text;
                                                }));
}

Key export_integer(std::string name, std::string doc, std::string default_text, std::int64_t min,
                   std::int64_t max, std::optional<std::int64_t> model::ExportConfig::*field) {
  return within(min, max,
                of_kind(Kind::kInteger, std::move(name), std::move(doc), std::move(default_text),
                        [field](Target& t, const Value& v) {
                          t.declared_export->config.*field = v.integer;
                        }));
}

constexpr std::array kDeclaredTypes = {ExportType::kKinesis,     ExportType::kFirehose,
                                       ExportType::kIotSitewise, ExportType::kIotAnalytics,
                                       ExportType::kHttp,        ExportType::kFile};

Key export_type() {
  std::vector<std::string> names;
  names.reserve(kDeclaredTypes.size());
  for (const ExportType type : kDeclaredTypes) names.emplace_back(model::export_type_name(type));
  return one_of(std::move(names),
                of_kind(Kind::kChoice, "type", "Where to.", "", [](Target& t, const Value& v) {
                  auto& e = *t.declared_export;
                  e.type_written = true;
                  for (const ExportType type : kDeclaredTypes) {
                    if (v.text == model::export_type_name(type)) e.config.type = type;
                  }
                }));
}

}  // namespace

std::vector<Key> where_to_keys() {
  return {
      required(with_sample("kinesis", export_type())),
      target_key("stream", "kinesis: name of the Kinesis data stream.", "my-kinesis-stream"),
      target_key("delivery_stream", "firehose: name of the Firehose stream.", "my-firehose-stream"),
      target_key("channel", "iot_analytics: name of the channel.", "my_channel"),
      target_key("uri", "http: where to POST to.", "\"http://127.0.0.1:9000/in\""),
      target_key("directory",
                 "file: directory for the files; created if missing. A relative one begins where "
                 "weir was started.",
                 "/var/lib/weir-exported"),
      one_of({"raw", "json"},
             of_kind(Kind::kChoice, "format",
                     "http: raw sends one request per message, json one per batch with "
                     "an array of messages.",
                     "raw",
                     [](Target& t, const Value& v) {
                       t.declared_export->config.export_format =
                           v.text == "json" ? model::ExportFormat::kJsonBatched
                                            : model::ExportFormat::kRawNotBatched;
                     })),
  };
}

std::vector<Key> declared_export_keys() {
  auto keys = where_to_keys();
  keys.insert(
      keys.begin() + 1,
      required(with_sample("to-cloud", of_kind(Kind::kText, "identifier",
                                               "Name of this export, unique within its stream; "
                                               "its position is kept under it.",
                                               "", [](Target& t, const Value& v) {
                                                 t.declared_export->config.identifier = v.text;
                                               }))));
  keys.push_back(with_sample(
      "500", export_integer("batch_size", "Most messages in one batch.", "as many as a call takes",
                            1, 500, &model::ExportConfig::batch_size)));
  keys.push_back(with_sample(
      "5000",
      export_integer("batch_interval_ms",
                     "How long to wait for a batch to fill. Unlike clients, the "
                     "configuration may ask for less than a minute.",
                     "do not wait", 1, kTimeMaxMs, &model::ExportConfig::batch_interval_ms)));
  keys.push_back(export_integer("priority",
                                "1 goes before 2 goes before ... 10, strictly, when workers or "
                                "bandwidth are short.",
                                "10", 1, 10, &model::ExportConfig::priority));
  keys.push_back(export_integer("start_sequence_number",
                                "Where a new export begins. A changed value moves it there.", "0",
                                0, kMax, &model::ExportConfig::start_sequence_number));
  keys.push_back(
      of_kind(Kind::kFlag, "disabled", "true pauses the export and keeps its position.", "false",
              [](Target& t, const Value& v) { t.declared_export->config.disabled = v.flag; }));
  for (auto& key : destination_option_keys()) keys.push_back(std::move(key));
  for (auto& key : poison_keys()) keys.push_back(std::move(key));
  return keys;
}

namespace {

Key exports_list() {
  Key exports =
      list("exports", "Where the messages of this stream are sent.", declared_export_keys());
  exports.begin = [](Target& target, const Position& where) {
    target.declared_export = &target.stream->exports.emplace_back();
    target.declared_export->where = where;
    target.declared_export->path = target.path;
    target.changes = &target.declared_export->changes;
  };
  return exports;
}

Key stream_integer(std::string name, std::string doc, std::string default_text, std::int64_t min,
                   std::int64_t max, std::optional<std::int64_t> model::StreamDefinition::*field) {
  return within(
      min, max,
      of_kind(Kind::kInteger, std::move(name), std::move(doc), std::move(default_text),
              [field](Target& t, const Value& v) { t.stream->definition.*field = v.integer; }));
}

}  // namespace

Key streams_section() {
  auto keys = std::vector<Key>{
      required(with_sample(
          "telemetry",
          of_kind(Kind::kText, "name", "Name: 1 to 255 letters, digits, blanks and , . - _", "",
                  [](Target& t, const Value& v) { t.stream->definition.name = v.text; }))),
      stream_integer("max_size_bytes", "Size of the whole stream.",
                     std::to_string(model::kMaxSizeDefault), 1024, kMax,
                     &model::StreamDefinition::max_size),
      stream_integer("segment_size_bytes", "Unit in which old messages are removed.",
                     std::to_string(model::kSegmentSizeDefault) + " or max_size_bytes", 1024,
                     2'147'483'647, &model::StreamDefinition::stream_segment_size),
      with_sample(
          "86400000",
          stream_integer("time_to_live_ms",
                         "Messages older than this are removed, segment by segment.", "keep",
                         60'000, kTimeMaxMs, &model::StreamDefinition::time_to_live_ms)),
      one_of({"reject", "overwrite"},
             of_kind(Kind::kChoice, "strategy_on_full",
                     "What happens to new messages when the stream is full: reject refuses them, "
                     "overwrite removes the oldest segment.",
                     "reject",
                     [](Target& t, const Value& v) {
                       t.stream->definition.strategy_on_full =
                           v.text == "overwrite" ? model::StrategyOnFull::kOverwriteOldestData
                                                 : model::StrategyOnFull::kRejectNewData;
                     })),
      one_of({"file", "memory"},
             of_kind(Kind::kChoice, "persistence",
                     "memory: messages are lost when weir stops. Cannot be changed later.", "file",
                     [](Target& t, const Value& v) {
                       t.stream->definition.persistence = v.text == "memory"
                                                              ? model::Persistence::kMemory
                                                              : model::Persistence::kFile;
                     })),
      of_kind(Kind::kFlag, "flush_on_write",
              "true: a message is on stable storage before it is acknowledged.", "false",
              [](Target& t, const Value& v) { t.stream->definition.flush_on_write = v.flag; }),
      exports_list(),
  };
  Key streams = list("streams",
                     "Streams that are created at start if they do not exist, and updated if they "
                     "differ. A stream that is removed here stays; remove it with weir stream rm.",
                     std::move(keys));
  streams.begin = [](Target& target, const Position& where) {
    target.stream = &target.config.streams.emplace_back();
    target.stream->where = where;
    target.stream->path = target.path;
  };
  return live(std::move(streams));
}

}  // namespace weir::daemon
