#include "protocol/codec.h"
#include "protocol/definition_codec.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <string>

namespace weir::protocol {
namespace {

using model::ExportConfig;
using model::ExportType;

constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMillisMax = 9'223'372'036'854;
constexpr std::int64_t kSegmentSizeMax = 2'147'483'647;
constexpr std::int64_t kFileBatchSizeMax = 100'000;    // files have no limit of their own
constexpr std::int64_t kPackedBatchSizeMax = 100'000;  // many messages may be one record
constexpr std::size_t kIotMsgIdPrefixMax = 32;
constexpr std::int64_t kMultipartThresholdMin = 5'242'880;

constexpr std::array<ExportTraits, 7> kTraits = {{
    {ExportType::kHttp, "http", "uri", 500, true},
    {ExportType::kIotAnalytics, "iotAnalytics", "iotChannel", 100, true},
    {ExportType::kKinesis, "kinesis", "kinesisStreamName", 500, true},
    {ExportType::kIotSitewise, "IotSitewise", "", 10, true},
    {ExportType::kS3TaskExecutor, "s3TaskExecutor", "", 0, true},
    {ExportType::kFile, "file", "directory", kFileBatchSizeMax, false},
    {ExportType::kFirehose, "firehose", "deliveryStream", kPackedBatchSizeMax, false},
}};

constexpr bool name_character(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == ' ' || c == ',' || c == '.' || c == '-';
}

void check_range(const std::optional<std::int64_t>& value, std::int64_t min, std::int64_t max,
                 const Path& path, Violations& violations) {
  if (!value || (*value >= min && *value <= max)) return;
  violations.add(path, max == kInt64Max
                           ? "must be at least " + std::to_string(min)
                           : "must be from " + std::to_string(min) + " to " + std::to_string(max));
}

void check_name(std::string_view name, const Path& path, Violations& violations) {
  const std::string_view reason = name_violation(name);
  if (!reason.empty()) violations.add(path, reason);
}

std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
  }));
}

/// An option that only one type has, given to another; cannot arrive over the wire, where it is
/// just an unknown key.
void check_foreign(bool set, bool allowed, const Path& path, const ExportTraits& traits,
                   Violations& violations) {
  if (set && !allowed) {
    violations.add(path, std::string("is not an option of ").append(traits.list_key));
  }
}

void check_foreign_options(const ExportConfig& config, const ExportTraits& traits, const Path& path,
                           Violations& violations) {
  const bool batches = traits.batch_size_max > 0;
  const bool s3 = config.type == ExportType::kS3TaskExecutor;
  const auto check = [&](bool set, bool allowed, std::string_view key) {
    check_foreign(set, allowed, Path{&path, key}, traits, violations);
  };
  check(config.batch_size.has_value(), batches, "batchSize");
  check(config.batch_interval_ms.has_value(), batches, "batchIntervalMillis");
  check(config.start_sequence_number.has_value(), batches, "startSequenceNumber");
  check(config.export_format.has_value(), config.type == ExportType::kHttp, "exportFormat");
  check(config.iot_msg_id_prefix.has_value(), config.type == ExportType::kIotAnalytics,
        "iotMsgIdPrefix");
  check(config.size_threshold_for_multipart_upload_bytes.has_value(), s3,
        "sizeThresholdForMultipartUploadBytes");
  check(config.status_config.has_value(), s3, "statusConfig");
}

bool is_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= 1 && value <= 65535;
}

/// What is wrong with a URI whatever it leads to (reliability.md 4.6). Whether it may be reached is
/// decided when it is.
std::string_view uri_violation(std::string_view uri) {
  const std::size_t scheme_bytes = uri.starts_with("http://")    ? 7
                                   : uri.starts_with("https://") ? 8
                                                                 : 0;
  if (scheme_bytes == 0) return "must begin with http:// or https://";
  if (uri.find('#') != std::string_view::npos) return "must not contain a fragment";
  if (std::any_of(uri.begin(), uri.end(), [](char c) { return c <= 0x20 || c == 0x7f; })) {
    return "must not contain spaces, control characters or bytes outside ASCII";
  }
  std::string_view authority = uri.substr(scheme_bytes);
  authority = authority.substr(0, authority.find_first_of("/?"));
  if (authority.find('@') != std::string_view::npos) return "must not contain user information";
  const std::size_t bracket = authority.find(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (authority.empty() || colon == 0) return "must name a host";
  if (colon != std::string_view::npos && !is_port(authority.substr(colon + 1))) {
    return "must have a port from 1 to 65535, or none";
  }
  return {};
}

void check_target(const ExportConfig& config, const ExportTraits& traits, const Path& path,
                  Violations& violations) {
  if (traits.target_key.empty()) return;
  const Path target{&path, traits.target_key};
  if (config.target.empty()) {
    violations.add(target, "must not be empty");
  } else if (config.type == ExportType::kHttp) {
    const std::string_view reason = uri_violation(config.target);
    if (!reason.empty()) violations.add(target, reason);
  }
}

void check_export(const ExportConfig& config, const Path& path,
                  const model::StreamDefinition& definition, Violations& violations) {
  const ExportTraits& traits = traits_of(config.type);
  check_name(config.identifier, Path{&path, "identifier"}, violations);
  check_target(config, traits, path, violations);
  check_foreign_options(config, traits, path, violations);
  check_range(config.batch_size, 1, std::max<std::int64_t>(traits.batch_size_max, 1),
              Path{&path, "batchSize"}, violations);
  // weir's own type may be as quick as its owner likes; the others keep the protocol's minimum.
  check_range(config.batch_interval_ms, traits.on_wire ? 60'000 : 1, kMillisMax,
              Path{&path, "batchIntervalMillis"}, violations);
  check_range(config.priority, 1, 10, Path{&path, "priority"}, violations);
  check_range(config.start_sequence_number, 0, kInt64Max, Path{&path, "startSequenceNumber"},
              violations);
  check_range(config.size_threshold_for_multipart_upload_bytes, kMultipartThresholdMin, kInt64Max,
              Path{&path, "sizeThresholdForMultipartUploadBytes"}, violations);
  if (config.iot_msg_id_prefix && code_points(*config.iot_msg_id_prefix) > kIotMsgIdPrefixMax) {
    violations.add(Path{&path, "iotMsgIdPrefix"}, "must have at most 32 characters");
  }
  if (config.status_config && config.status_config->status_stream_name) {
    const Path status{&path, "statusConfig"};
    const Path name{&status, "statusStreamName"};
    check_name(*config.status_config->status_stream_name, name, violations);
    if (*config.status_config->status_stream_name == definition.name) {
      violations.add(name, "must not be the stream itself");
    }
  }
}

void check_exports(const model::StreamDefinition& definition, const Path& path,
                   Violations& violations) {
  if (definition.exports.size() > model::kExportsPerStreamMax) {
    violations.add(path, "must have at most " + std::to_string(model::kExportsPerStreamMax) +
                             " exports, all types together");
    return;
  }
  std::map<std::string_view, std::string> known;
  std::array<std::int64_t, kTraits.size()> positions{};
  for (const ExportConfig& config : definition.exports) {
    const Path list{&path, traits_of(config.type).list_key};
    const Path element{&list, {}, positions.at(static_cast<std::size_t>(config.type))++};
    const Path identifier{&element, "identifier"};
    check_export(config, element, definition, violations);
    const auto [earlier, is_new] = known.emplace(config.identifier, std::string());
    if (is_new) {
      earlier->second = identifier.text();
    } else if (!config.identifier.empty()) {
      violations.add(identifier, "is the same as " + earlier->second);
    }
  }
}

}  // namespace

const ExportTraits& traits_of(ExportType type) {
  return kTraits.at(static_cast<std::size_t>(type));
}

std::span<const ExportTraits> all_export_traits() { return kTraits; }

std::string_view name_violation(std::string_view name) {
  if (name.empty()) return "must not be empty";
  if (!std::all_of(name.begin(), name.end(),
                   [](char c) { return name_character(static_cast<unsigned char>(c)); })) {
    return "must consist of the letters A-Z and a-z, digits, space and _ , . -";
  }
  if (name.size() > model::kNameBytesMax) return "must have at most 255 characters";
  return {};
}

void note_violations(const model::StreamDefinition& definition, const Path& path,
                     Violations& violations) {
  check_name(definition.name, Path{&path, "name"}, violations);
  check_range(definition.max_size, 1024, kInt64Max, Path{&path, "maxSize"}, violations);
  check_range(definition.stream_segment_size, 1024, kSegmentSizeMax,
              Path{&path, "streamSegmentSize"}, violations);
  check_range(definition.time_to_live_ms, 60'000, kMillisMax, Path{&path, "timeToLiveMillis"},
              violations);
  check_exports(definition, Path{&path, "exportDefinition"}, violations);
}

std::string validate(const model::StreamDefinition& definition, std::string_view path) {
  Violations violations;
  note_violations(definition, Path{nullptr, path}, violations);
  return violations.text();
}

std::string validate_name(std::string_view name, std::string_view path) {
  const std::string_view reason = name_violation(name);
  return reason.empty() ? std::string() : std::string(path).append(": ").append(reason);
}

}  // namespace weir::protocol
