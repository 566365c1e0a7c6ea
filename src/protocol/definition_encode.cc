#include "protocol/cbor.h"
#include "protocol/definition_codec.h"

#include <algorithm>

namespace weir::protocol {
namespace {

using cbor::MapWriter;
using model::ExportConfig;

void put_optional(MapWriter& map, std::string_view key, const std::optional<std::int64_t>& value) {
  if (value) map.integer(key, *value);
}

template <class Enum>
void put_enum(MapWriter& map, std::string_view key, const std::optional<Enum>& value) {
  if (value) map.integer(key, static_cast<std::int64_t>(*value));
}

void put_status_config(ByteBuffer& out, const model::StatusConfig& config) {
  MapWriter map(out);
  put_enum(map, "statusLevel", config.status_level);
  if (config.status_stream_name) map.text("statusStreamName", *config.status_stream_name);
  map.close();
}

void put_export(ByteBuffer& out, const ExportConfig& config, const ExportTraits& traits) {
  MapWriter map(out);
  map.text("identifier", config.identifier);
  if (!traits.target_key.empty()) map.text(traits.target_key, config.target);
  if (config.iot_msg_id_prefix) map.text("iotMsgIdPrefix", *config.iot_msg_id_prefix);
  put_optional(map, "sizeThresholdForMultipartUploadBytes",
               config.size_threshold_for_multipart_upload_bytes);
  put_optional(map, "batchSize", config.batch_size);
  put_optional(map, "batchIntervalMillis", config.batch_interval_ms);
  put_optional(map, "priority", config.priority);
  put_optional(map, "startSequenceNumber", config.start_sequence_number);
  if (config.disabled) map.boolean("disabled", *config.disabled);
  put_enum(map, "exportFormat", config.export_format);
  if (config.status_config) {
    map.key("statusConfig");
    put_status_config(out, *config.status_config);
  }
  map.close();
}

void put_exports(ByteBuffer& out, const std::vector<ExportConfig>& exports, EmptyLists lists) {
  MapWriter map(out);
  for (const ExportTraits& traits : all_export_traits()) {
    if (!traits.on_wire) continue;
    const auto count = std::count_if(exports.begin(), exports.end(),
                                     [&](const ExportConfig& e) { return e.type == traits.type; });
    if (count == 0 && lists == EmptyLists::kLeaveOut) continue;
    map.key(traits.list_key);
    cbor::put_head(out, cbor::kMajorArray, static_cast<std::uint64_t>(count));
    for (const ExportConfig& config : exports) {
      if (config.type == traits.type) put_export(out, config, traits);
    }
  }
  map.close();
}

}  // namespace

void put_definition(ByteBuffer& out, const model::StreamDefinition& definition, EmptyLists lists) {
  MapWriter map(out);
  map.text("name", definition.name);
  put_optional(map, "maxSize", definition.max_size);
  put_optional(map, "streamSegmentSize", definition.stream_segment_size);
  put_optional(map, "timeToLiveMillis", definition.time_to_live_ms);
  map.integer("strategyOnFull", static_cast<std::int64_t>(definition.strategy_on_full));
  put_enum(map, "persistence", definition.persistence);
  if (definition.flush_on_write) map.boolean("flushOnWrite", *definition.flush_on_write);
  if (lists == EmptyLists::kWrite || !definition.exports.empty()) {
    map.key("exportDefinition");
    put_exports(out, definition.exports, lists);
  }
  map.close();
}

}  // namespace weir::protocol
