#include "stream/update.h"

#include <map>
#include <string>

namespace weir::stream {
namespace {

/// The key of a type's list in a definition on the wire.
const char* wire_key(model::ExportType type) {
  switch (type) {
    case model::ExportType::kHttp:
      return "http";
    case model::ExportType::kIotAnalytics:
      return "iotAnalytics";
    case model::ExportType::kKinesis:
      return "kinesis";
    case model::ExportType::kIotSitewise:
      return "IotSitewise";
    case model::ExportType::kS3TaskExecutor:
      return "s3TaskExecutor";
    case model::ExportType::kFile:
      return "file";
    case model::ExportType::kFirehose:
      return "firehose";
    case model::ExportType::kMqtt:
      break;
  }
  return "mqtt";
}

const model::ExportConfig* same_export(const model::StreamDefinition& in,
                                       const model::ExportConfig& config) {
  for (const model::ExportConfig& other : in.exports) {
    if (other.identifier == config.identifier && other.type == config.type) return &other;
  }
  return nullptr;
}

Result<void> check_starts(const model::StreamDefinition& present,
                          const model::StreamDefinition& wanted,
                          const model::StorageStatus& status) {
  std::map<model::ExportType, std::size_t> index;
  for (const model::ExportConfig& config : wanted.exports) {
    const std::size_t i = index[config.type]++;
    const model::ExportConfig* before = same_export(present, config);
    if (before == nullptr) continue;
    const std::int64_t start = config.start_sequence_number.value_or(0);
    if (start == before->start_sequence_number.value_or(0)) continue;
    if (start < status.newest_sequence_number) continue;
    return fail(Errc::kInvalidArgument, std::string("definition.exportDefinition.") +
                                            wire_key(config.type) + "[" + std::to_string(i) +
                                            "].startSequenceNumber: " + std::to_string(start) +
                                            " is not less than the newest sequence number, " +
                                            std::to_string(status.newest_sequence_number));
  }
  return {};
}

}  // namespace

Result<void> check_update(const model::StreamDefinition& present,
                          const model::StreamDefinition& wanted,
                          const model::StorageStatus& status) {
  if (wanted.persistence_or_default() != present.persistence_or_default()) {
    return fail(Errc::kConflict, "persistence cannot be updated");
  }
  if (wanted.max_size_or_default() < status.total_bytes) {
    return fail(Errc::kConflict, "maxSize cannot be less than the current size of the stream, " +
                                     std::to_string(status.total_bytes) + " bytes");
  }
  // A pair that create accepted may stay as it is: update workflows send back what they were told.
  const bool unchanged = wanted.max_size_or_default() == present.max_size_or_default() &&
                         wanted.segment_size_or_default() == present.segment_size_or_default();
  if (!unchanged && wanted.segment_size_or_default() > wanted.max_size_or_default()) {
    return fail(Errc::kConflict, "streamSegmentSize cannot be greater than maxSize");
  }
  return check_starts(present, wanted, status);
}

bool same_definition(const model::StreamDefinition& a, const model::StreamDefinition& b) {
  return model::with_defaults(a) == model::with_defaults(b);
}

}  // namespace weir::stream
