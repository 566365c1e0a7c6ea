#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "exporter/destination.h"
#include "exporter/poison_policy.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::exporter {
class BandwidthLimiter;
class LocalStreams;
}  // namespace weir::exporter

namespace weir::destination {

class AwsClient;

/// A role to assume with weir's own credentials (STS AssumeRole); another account, as a rule.
struct AssumedRole {
  std::string role_arn;  ///< "" = none
  std::string external_id;
  std::string session_name = "weir";
  std::int64_t duration_seconds = 3600;  ///< 900 to 43200
  friend auto operator<=>(const AssumedRole&, const AssumedRole&) = default;
};

/// The AWS IoT credentials provider: keys for a device certificate (destinations.md §21.4).
struct IotCredentialOptions {
  std::string endpoint;  ///< host name, or a URL; "" = not used
  std::string role_alias;
  std::string thing_name;
  std::string certificate_file;
  std::string private_key_file;
  std::string ca_file;  ///< "" = the CA bundle for AWS, else the system's
  friend bool operator==(const IotCredentialOptions&, const IotCredentialOptions&) = default;
};

/// Which sources of credentials are asked; `kChain` asks all of them in the order below.
enum class CredentialSource : std::uint8_t {
  kChain,
  kEnvironment,
  kWebIdentity,
  kProfile,  ///< shared files, with their `credential_process`
  kIot,
  kContainer,
  kInstance,  ///< IMDSv2
};

/// How weir reaches AWS. Filled from configuration, then from the AWS_* environment.
struct AwsOptions {
  std::string region;
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string endpoint_url;                                  ///< AWS_ENDPOINT_URL
  std::map<std::string, std::string> service_endpoint_urls;  ///< "kinesis" -> URL, wins
  std::string ca_bundle_file;                                ///< AWS_CA_BUNDLE
  std::optional<bool> use_fips;
  std::optional<bool> use_dual_stack;
  CredentialSource credential_source = CredentialSource::kChain;
  /// Named by configuration, so the environment's keys do not count; "" = AWS_PROFILE or default.
  std::string profile;
  AssumedRole role;  ///< for everything that has none of its own
  IotCredentialOptions iot;
  /// The variables that the sources of credentials read: AWS_* and HOME.
  std::map<std::string, std::string> environment;
};

/// Another account or region for one export.
struct AwsAccess {
  AssumedRole role;    ///< without an ARN: `AwsOptions::role`
  std::string region;  ///< "" = `AwsOptions::region`
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

/// What is compressed is one record, one request body or one piece of a file at a time.
enum class Compression : std::uint8_t { kNone, kGzip, kZstd };

/// Several messages in one Kinesis record.
enum class Aggregation : std::uint8_t {
  kNone,
  kKpl,    ///< the container that Kinesis client libraries take apart
  kLines,  ///< one message a line
};

struct KinesisOptions {
  PartitionKey partition_key;
  Ordering ordering = Ordering::kBatch;
  Aggregation aggregation = Aggregation::kNone;
  std::int64_t aggregation_bytes_max = 256 << 10;  ///< of one aggregate, key not counted
  Compression compression = Compression::kNone;    ///< of each record's data; not with kKpl
  std::int64_t record_bytes_max = 1 << 20;         ///< data + key; up to 10 MiB
  std::int64_t call_bytes_max = 5 << 20;           ///< up to 10 MiB
  std::int64_t inter_call_delay_ms = 0;  ///< STREAM_MANAGER_EXPORTER_KINESIS_INTER_CALL_DELAY_MS
};

struct FirehoseOptions {
  Ordering ordering = Ordering::kBatch;  ///< kBatch, or kStrict for one record per call
  std::string delimiter = "\n";  ///< added to messages that do not end with it; "" adds nothing
  bool packing = false;          ///< consecutive messages in one record
  std::int64_t packing_bytes_max = 1'024'000;    ///< of one record before compression
  Compression compression = Compression::kNone;  ///< of each record
  /// A destination of somebody else's around the client of this service, for connectors; null:
  /// weir's own, to which the other options are.
  std::function<Result<std::unique_ptr<exporter::Destination>>(std::unique_ptr<AwsClient>)> make;
};

struct HttpOptions {
  Compression compression = Compression::kNone;  ///< of request bodies, as Content-Encoding
  std::map<std::string, std::string> headers;
  std::string bearer_token_file;
  std::string ca_file;
  std::string client_certificate_file;
  std::string client_key_file;
};

struct FileOptions {
  enum class Format : std::uint8_t { kNewline, kLength };
  using Compression = destination::Compression;
  std::string directory;  ///< created when missing; the export's `target` when empty
  Format format = Format::kNewline;
  Compression compression = Compression::kNone;
  std::int64_t roll_bytes = 64 << 20;
  std::int64_t roll_interval_ms = 3'600'000;
};

struct S3Options {
  std::int64_t part_bytes_min = 5'242'880;
  bool path_style = false;  ///< the bucket in the path even where it could be in the host name
  /// Clients may have files below these uploaded; empty: any that weir can read.
  std::vector<std::string> input_directories;
  /// But never these, nor what is below them; asked for every file, because a reload changes what
  /// is secret. Null: nothing more than the kernel's own trees. Threads: any.
  std::function<std::vector<std::string>()> denied_paths;
  std::shared_ptr<exporter::LocalStreams> streams;  ///< for statuses; null: none are told
};

/// Where an export goes instead of what its definition says.
struct Redirect {
  model::ExportType type = model::ExportType::kKinesis;
  std::string target;
  std::optional<model::ExportFormat> export_format;
};

/// What becomes of messages that are refused for good, as far as the configuration says it.
struct PoisonOptions {
  static constexpr const char* kDefaultStream = "weir-dlq";
  std::optional<exporter::PoisonPolicy::Action> action;
  std::string dead_letter_stream;

  /// In force: without an action, messages are kept where a stream for them is named.
  [[nodiscard]] exporter::PoisonPolicy policy() const {
    using Action = exporter::PoisonPolicy::Action;
    return {action.value_or(dead_letter_stream.empty() ? Action::kDrop : Action::kDeadLetter),
            dead_letter_stream.empty() ? kDefaultStream : dead_letter_stream};
  }
};

/// What weir's own configuration adds to one export.
struct ExportOptions {
  KinesisOptions kinesis;
  FirehoseOptions firehose;
  HttpOptions http;
  FileOptions file;
  S3Options s3;
  AwsAccess aws;
  PoisonOptions poison;
  std::optional<Redirect> redirect;
};

/// The options in force for an export; asked once, when its destination is made. Threads: any.
using OptionsLookup = std::function<ExportOptions(const exporter::ExportSpec&)>;

namespace credentials {
class Hub;
}

/// All AWS credentials of one weir, for `make_factory` and for those who show where they come from.
/// A shared file that cannot be read is warned of: the exports that need it say so again.
///
/// Lifetime: `clock` and `metrics` outlive it and everything made with it. Blocks: on disk.
std::shared_ptr<credentials::Hub> make_credentials(const AwsOptions& aws,
                                                   const TransportOptions& transport, Clock& clock,
                                                   metrics::Registry& metrics,
                                                   std::uint64_t random_seed);

/// Makes the destinations for `exporter::Engine`. `credentials` null: the factory makes its own.
/// `bandwidth` is what all uploads share; null: a limit of the factory's own, as `transport` says.
///
/// Lifetime: `clock` and `metrics` outlive the factory and everything it made.
/// Errors: kInvalidArgument (no region, unusable CA file ...), saying what to set.
Result<exporter::DestinationFactory> make_factory(
    const AwsOptions& aws, const TransportOptions& transport, OptionsLookup lookup, Clock& clock,
    metrics::Registry& metrics, std::uint64_t random_seed,
    std::shared_ptr<credentials::Hub> credentials = nullptr,
    std::shared_ptr<exporter::BandwidthLimiter> bandwidth = nullptr);

}  // namespace weir::destination
