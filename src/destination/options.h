#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "exporter/destination.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir::destination {

/// How weir reaches AWS. Filled from configuration, then from the AWS_* environment.
struct AwsOptions {
  std::string region;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string endpoint_url;                                  ///< AWS_ENDPOINT_URL
  std::map<std::string, std::string> service_endpoint_urls;  ///< "kinesis" -> URL, wins
  std::string ca_bundle_file;                                ///< AWS_CA_BUNDLE
};

/// For every network destination.
struct TransportOptions {
  std::int64_t connect_timeout_ms = 10'000;
  std::int64_t stall_timeout_ms = 30'000;  ///< no progress in either direction
  std::int64_t response_bytes_max = 1 << 20;
  std::int64_t bandwidth_bits_per_second = 0;  ///< all uploads together; 0 = unlimited
  /// Ports weir itself listens on: targets of HTTP exports, which clients choose, may not be one of
  /// them on this machine (reliability.md §4.6).
  std::vector<std::uint16_t> own_ports;
};

struct PartitionKey {
  enum class Kind : std::uint8_t { kRandom, kStream, kField, kTemplate };
  Kind kind = Kind::kRandom;
  std::string text;  ///< JSON pointer for kField, template for kTemplate
};

/// destinations.md §3: what happens to order when some records of a call fail.
enum class Ordering : std::uint8_t { kBatch, kPerKey, kStrict };

struct KinesisOptions {
  PartitionKey partition_key;
  Ordering ordering = Ordering::kBatch;
  std::int64_t record_bytes_max = 1 << 20;  ///< data + key; up to 10 MiB
  std::int64_t call_bytes_max = 5 << 20;    ///< up to 10 MiB
  std::int64_t inter_call_delay_ms = 0;     ///< STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS
};

struct HttpOptions {
  std::map<std::string, std::string> headers;
  std::string bearer_token_file;
  std::string ca_file;
  std::string client_certificate_file;
  std::string client_key_file;
};

struct FileOptions {
  enum class Format : std::uint8_t { kNewline, kLength };
  enum class Compression : std::uint8_t { kNone, kGzip, kZstd };
  std::string directory;  ///< created when missing; the export's `target` when empty
  Format format = Format::kNewline;
  Compression compression = Compression::kNone;
  std::int64_t roll_bytes = 64 << 20;
  std::int64_t roll_interval_ms = 3'600'000;
};

/// What weir's own configuration adds to one export.
struct ExportOptions {
  KinesisOptions kinesis;
  HttpOptions http;
  FileOptions file;
};

/// The options in force for an export; asked once, when its destination is made. Threads: any.
using OptionsLookup = std::function<ExportOptions(const exporter::ExportSpec&)>;

/// Makes the destinations for `exporter::Engine`.
///
/// Lifetime: `clock` and `metrics` outlive the factory and everything it made.
/// Errors: kInvalidArgument (no region, unusable CA file ...), saying what to set.
Result<exporter::DestinationFactory> make_factory(const AwsOptions& aws,
                                                  const TransportOptions& transport,
                                                  OptionsLookup lookup, Clock& clock,
                                                  metrics::Registry& metrics,
                                                  std::uint64_t random_seed);

}  // namespace weir::destination
