#include "protocol/definition_codec.h"

#include <algorithm>
#include <string>

namespace weir::protocol {
namespace {

using model::ExportConfig;
using model::ExportType;
using std::string_view;

constexpr string_view kStrategies = "0 (RejectNewData) or 1 (OverwriteOldestData)";
constexpr string_view kPersistences = "0 (File) or 1 (Memory)";
constexpr string_view kFormats = "0 (RAW_NOT_BATCHED) or 1 (JSON_BATCHED)";
constexpr string_view kLevels = "0 (ERROR), 1 (WARN), 2 (INFO), 3 (DEBUG) or 4 (TRACE)";

void read_text(FieldReader& fields, const Path& path, std::string& out) {
  string_view text;
  if (fields.text(path, text)) out = text;
}

void read_integer(FieldReader& fields, const Path& path, std::optional<std::int64_t>& out) {
  std::int64_t value = 0;
  if (fields.integer(path, value)) out = value;
}

void read_boolean(FieldReader& fields, const Path& path, std::optional<bool>& out) {
  bool value = false;
  if (fields.boolean(path, value)) out = value;
}

template <class Enum>
void read_enum(FieldReader& fields, const Path& path, Enum last, string_view meaning,
               std::optional<Enum>& out) {
  std::int64_t value = 0;
  if (fields.enumeration(path, static_cast<std::int64_t>(last), meaning, value)) {
    out = static_cast<Enum>(value);
  }
}

model::StatusConfig read_status_config(FieldReader& fields, const Path& path) {
  static constexpr std::array<string_view, 2> kKeys = {"statusLevel", "statusStreamName"};
  model::StatusConfig config;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    if (i == 0) {
      read_enum(fields, field, model::StatusLevel::kTrace, kLevels, config.status_level);
    } else {
      read_text(fields, field, config.status_stream_name.emplace());
    }
  });
  return config;
}

/// The fields that all export types share; which of them a type has stands in `key_allowed`.
constexpr std::array<string_view, 11> kExportKeys = {
    "identifier",
    "batchSize",
    "batchIntervalMillis",
    "priority",
    "startSequenceNumber",
    "disabled",
    "exportFormat",
    "iotMsgIdPrefix",
    "statusConfig",
    "sizeThresholdForMultipartUploadBytes",
    "",  // the target's key, by type
};

bool key_allowed(const ExportTraits& traits, string_view key) {
  if (key == "exportFormat") return traits.type == ExportType::kHttp;
  if (key == "iotMsgIdPrefix") return traits.type == ExportType::kIotAnalytics;
  if (key == "statusConfig" || key == "sizeThresholdForMultipartUploadBytes") {
    return traits.type == ExportType::kS3TaskExecutor;
  }
  if (key == "batchSize" || key == "batchIntervalMillis" || key == "startSequenceNumber") {
    return traits.batch_size_max > 0;
  }
  return true;
}

void read_export_field(FieldReader& fields, const Path& path, std::size_t key, ExportConfig& out) {
  switch (key) {
    case 0:
      return read_text(fields, path, out.identifier);
    case 1:
      return read_integer(fields, path, out.batch_size);
    case 2:
      return read_integer(fields, path, out.batch_interval_ms);
    case 3:
      return read_integer(fields, path, out.priority);
    case 4:
      return read_integer(fields, path, out.start_sequence_number);
    case 5:
      return read_boolean(fields, path, out.disabled);
    case 6:
      return read_enum(fields, path, model::ExportFormat::kJsonBatched, kFormats,
                       out.export_format);
    case 7:
      return read_text(fields, path, out.iot_msg_id_prefix.emplace());
    case 8:
      out.status_config = read_status_config(fields, path);
      return;
    case 9:
      return read_integer(fields, path, out.size_threshold_for_multipart_upload_bytes);
    default:
      return read_text(fields, path, out.target);
  }
}

ExportConfig read_export(FieldReader& fields, const Path& path, const ExportTraits& traits) {
  // A type without some field ignores its key like any unknown one. The stand-in for "no such
  // field" cannot arrive as a key that matches: it is not valid UTF-8.
  static constexpr string_view kNoField = "\xff";
  auto keys = kExportKeys;
  for (string_view& key : keys) {
    if (!key_allowed(traits, key)) key = kNoField;
  }
  keys.back() = traits.target_key.empty() ? kNoField : traits.target_key;

  ExportConfig config;
  config.type = traits.type;
  bool has_identifier = false;
  bool has_target = traits.target_key.empty();
  fields.map(path, keys, [&](std::size_t i) {
    has_identifier = has_identifier || i == 0;
    has_target = has_target || i + 1 == keys.size();
    read_export_field(fields, Path{&path, keys.at(i)}, i, config);
  });
  if (!has_identifier) fields.missing(Path{&path, kExportKeys[0]});
  if (!has_target) fields.missing(Path{&path, traits.target_key});
  return config;
}

void read_exports(FieldReader& fields, const Path& path, std::vector<ExportConfig>& out) {
  // The last two are synonyms that other clients use (protocol.md §3.4).
  static constexpr std::array<string_view, 7> kKeys = {
      "http",           "iotAnalytics", "kinesis",    "IotSitewise",
      "s3TaskExecutor", "iotSitewise",  "iotSiteWise"};
  bool sitewise_seen = false;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path list{&path, kKeys.at(i)};
    const ExportType type = i > 4 ? ExportType::kIotSitewise : static_cast<ExportType>(i);
    if (type == ExportType::kIotSitewise) {
      if (sitewise_seen) {
        fields.violations.add(list, "is given twice, in two spellings");
        return fields.skip();
      }
      sitewise_seen = true;
    }
    fields.list(list, [&](std::int64_t index) {
      ExportConfig config = read_export(fields, Path{&list, {}, index}, traits_of(type));
      if (out.size() <= model::kExportsPerStreamMax) out.push_back(std::move(config));
    });
  });
  std::stable_sort(out.begin(), out.end(),
                   [](const ExportConfig& a, const ExportConfig& b) { return a.type < b.type; });
}

}  // namespace

void read_definition(FieldReader& fields, const Path& path, model::StreamDefinition& out) {
  static constexpr std::array<string_view, 8> kKeys = {
      "name",           "maxSize",     "streamSegmentSize", "timeToLiveMillis",
      "strategyOnFull", "persistence", "flushOnWrite",      "exportDefinition"};
  bool has_name = false;
  std::optional<model::StrategyOnFull> strategy;
  bool has_strategy = false;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    switch (i) {
      case 0:
        has_name = true;
        return read_text(fields, field, out.name);
      case 1:
        return read_integer(fields, field, out.max_size);
      case 2:
        return read_integer(fields, field, out.stream_segment_size);
      case 3:
        return read_integer(fields, field, out.time_to_live_ms);
      case 4:
        has_strategy = true;
        return read_enum(fields, field, model::StrategyOnFull::kOverwriteOldestData, kStrategies,
                         strategy);
      case 5:
        return read_enum(fields, field, model::Persistence::kMemory, kPersistences,
                         out.persistence);
      case 6:
        return read_boolean(fields, field, out.flush_on_write);
      default:
        return read_exports(fields, field, out.exports);
    }
  });
  if (!has_name) fields.missing(Path{&path, kKeys[0]});
  if (!has_strategy) fields.missing(Path{&path, kKeys[4]});
  out.strategy_on_full = strategy.value_or(model::StrategyOnFull::kRejectNewData);
}

}  // namespace weir::protocol
