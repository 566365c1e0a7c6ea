#pragma once

#include "base/ids.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Enumerations carry the numbers of the wire protocol (protocol.md §3, messages.json).
namespace weir::model {

enum class StrategyOnFull : std::uint8_t { kRejectNewData = 0, kOverwriteOldestData = 1 };
enum class Persistence : std::uint8_t { kFile = 0, kMemory = 1 };
enum class ExportFormat : std::uint8_t { kRawNotBatched = 0, kJsonBatched = 1 };
enum class StatusLevel : std::uint8_t { kError = 0, kWarn = 1, kInfo = 2, kDebug = 3, kTrace = 4 };

inline constexpr std::int64_t kMaxSizeDefault = 268'435'456;
inline constexpr std::int64_t kSegmentSizeDefault = 16'777'216;
inline constexpr std::size_t kNameBytesMax = 255;
inline constexpr std::size_t kExportsPerStreamMax = 64;

/// Where an export goes. The first five exist on the wire, in this order; `kFile` and what follows
/// are weir's own and come from configuration only.
enum class ExportType : std::uint8_t {
  kHttp,
  kIotAnalytics,
  kKinesis,
  kIotSitewise,
  kS3TaskExecutor,
  kFile,
  kFirehose,
  kMqtt,  ///< answers of a connector to its broker; made by weir itself only
};

/// Name of a type as it appears in logs, metrics and configuration: "http", "kinesis", ...
const char* export_type_name(ExportType type);

struct StatusConfig {
  std::optional<StatusLevel> status_level;
  std::optional<std::string> status_stream_name;
  friend bool operator==(const StatusConfig&, const StatusConfig&) = default;
};

/// One export configuration. Which fields are allowed depends on the type (protocol.md §3.4);
/// `protocol::validate` checks. Unset stays unset so that `describe` echoes what was sent.
struct ExportConfig {
  ExportType type = ExportType::kHttp;
  std::string identifier;
  /// `uri`, `iotChannel` or `kinesisStreamName`, or the name of a Firehose delivery stream; empty
  /// for the types whose target is in the
  /// payload.
  std::string target;
  std::optional<std::int64_t> batch_size;
  std::optional<std::int64_t> batch_interval_ms;
  std::optional<std::int64_t> priority;
  std::optional<std::int64_t> start_sequence_number;
  std::optional<bool> disabled;
  std::optional<ExportFormat> export_format;                              ///< http
  std::optional<std::string> iot_msg_id_prefix;                           ///< iotAnalytics
  std::optional<std::int64_t> size_threshold_for_multipart_upload_bytes;  ///< s3TaskExecutor
  std::optional<StatusConfig> status_config;                              ///< s3TaskExecutor
  friend bool operator==(const ExportConfig&, const ExportConfig&) = default;
};

/// A stream as its owner described it. `nullopt` means "not sent"; the accessors below give what
/// is in force.
struct StreamDefinition {
  std::string name;
  std::optional<std::int64_t> max_size;
  std::optional<std::int64_t> stream_segment_size;
  std::optional<std::int64_t> time_to_live_ms;
  StrategyOnFull strategy_on_full = StrategyOnFull::kRejectNewData;
  std::optional<Persistence> persistence;
  std::optional<bool> flush_on_write;
  /// All export configurations, grouped by type in the order of `ExportType`, each group in the
  /// order sent: the order in which `describe` reports their statuses.
  std::vector<ExportConfig> exports;

  [[nodiscard]] std::int64_t max_size_or_default() const {
    return max_size.value_or(kMaxSizeDefault);
  }
  [[nodiscard]] std::int64_t segment_size_or_default() const {
    return stream_segment_size.value_or(kSegmentSizeDefault);
  }
  [[nodiscard]] Persistence persistence_or_default() const {
    return persistence.value_or(Persistence::kFile);
  }
  [[nodiscard]] bool flush_on_write_or_default() const { return flush_on_write.value_or(false); }
  /// True when an append must be on stable storage before it is answered.
  [[nodiscard]] bool durable_before_answer() const {
    return flush_on_write_or_default() && persistence_or_default() == Persistence::kFile;
  }
  friend bool operator==(const StreamDefinition&, const StreamDefinition&) = default;
};

/// `definition` with maxSize, streamSegmentSize, persistence and flushOnWrite filled in, as
/// `describe` shows it (protocol.md §2.8).
StreamDefinition with_defaults(StreamDefinition definition);

/// What `describe` tells of the stored messages (protocol.md §2.8, U-2: newest = oldest - 1 when
/// empty).
struct StorageStatus {
  std::int64_t oldest_sequence_number = 0;
  std::int64_t newest_sequence_number = -1;
  std::int64_t total_bytes = 0;
  friend bool operator==(const StorageStatus&, const StorageStatus&) = default;
};

/// What `describe` tells of one export (protocol.md §2.8, §5.2).
struct ExportStatus {
  std::string export_config_identifier;
  std::int64_t last_exported_sequence_number = -1;
  std::int64_t last_export_time_ms = 0;
  std::string error_message;
  std::int64_t exported_bytes_from_stream = 0;
  std::int64_t exported_messages_count = 0;
  friend bool operator==(const ExportStatus&, const ExportStatus&) = default;
};

struct StreamInfo {
  StreamDefinition definition;
  StorageStatus storage_status;
  std::vector<ExportStatus> export_statuses;
  friend bool operator==(const StreamInfo&, const StreamInfo&) = default;
};

}  // namespace weir::model
