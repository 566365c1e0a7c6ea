#include "base/check.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "destination/aws_client.h"
#include "destination/credentials.h"
#include "destination/credentials/hub.h"
#include "destination/curl_transport.h"
#include "destination/file/destination.h"
#include "destination/firehose/destination.h"
#include "destination/firehose/request.h"
#include "destination/http/destination.h"
#include "destination/http/target.h"
#include "destination/iot_analytics/destination.h"
#include "destination/kinesis/destination.h"
#include "destination/metrics.h"
#include "destination/options.h"
#include "destination/s3/destination.h"
#include "destination/services.h"
#include "destination/sitewise/destination.h"
#include "exporter/bandwidth.h"
#include "file/posix_file_system.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <map>
#include <unistd.h>
#include <utility>

namespace weir::destination {
namespace {

using exporter::Destination;
using exporter::ExportSpec;
using Made = Result<std::unique_ptr<Destination>>;

Result<void> check_readable(const std::string& path, const char* what) {
  if (path.empty() || access(path.c_str(), R_OK) == 0) return {};
  Error error = os_error(std::string(what) + " " + path, errno);
  error.code = Errc::kInvalidArgument;
  return fail(std::move(error));
}

// Output directories, opened once for all exports that write to them.
class Directories {
 public:
  Result<std::shared_ptr<file::FileSystem>> open(const std::string& path, bool again)
      WEIR_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (auto known = opened_[path].lock(); known && !again) return known;
    }
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return fail(os_error("create the directory " + path, error.value()));
    WEIR_TRY(auto files, file::open_posix(path));
    std::shared_ptr<file::FileSystem> shared = std::move(files);
    const MutexLock lock(mutex_);
    opened_[path] = shared;
    return shared;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::weak_ptr<file::FileSystem>> opened_ WEIR_GUARDED_BY(mutex_);
};

// What all destinations share.
class Maker {
 public:
  Maker(std::shared_ptr<credentials::Hub> hub, TransportOptions transport, OptionsLookup lookup,
        Clock& clock, metrics::Registry& metrics, std::uint64_t random_seed,
        std::shared_ptr<exporter::BandwidthLimiter> bandwidth)
      : hub_(std::move(hub)),
        transport_(std::move(transport)),
        lookup_(std::move(lookup)),
        clock_(clock),
        metrics_(metrics),
        seed_(random_seed),
        operator_pool_(make_curl_pool()),
        client_pool_(make_curl_pool()),
        bandwidth_(std::move(bandwidth)),
        directories_(std::make_shared<Directories>()) {}

  Made make(const ExportSpec& defined) {
    const ExportOptions options = lookup_ ? lookup_(defined) : ExportOptions{};
    ExportSpec spec = defined;
    if (options.redirect) {
      spec.config.type = options.redirect->type;
      spec.config.target = options.redirect->target;
      spec.config.export_format = options.redirect->export_format;
    }
    switch (spec.config.type) {
      case model::ExportType::kKinesis:
        return make_kinesis(spec, options.kinesis, options.aws);
      case model::ExportType::kHttp:
        return make_http(spec, options.http);
      case model::ExportType::kFile:
        return make_file(spec, options.file);
      case model::ExportType::kIotAnalytics:
        return make_iot_analytics(spec, options.aws);
      case model::ExportType::kFirehose:
        return make_firehose(spec, options.firehose, options.aws);
      case model::ExportType::kIotSitewise:
        return make_sitewise(spec, options.aws);
      case model::ExportType::kS3TaskExecutor:
        return make_s3(spec, options.s3, options.aws);
      case model::ExportType::kMqtt:
        return fail(Errc::kUnsupported, "answers over MQTT belong to a connector");
    }
    WEIR_CHECK(false, "every export type has a destination");
  }

 private:
  [[nodiscard]] CurlSettings settings(const ExportSpec& spec) const {
    CurlSettings settings;
    settings.priority = spec.priority;
    settings.connect_timeout_ms = transport_.connect_timeout_ms;
    settings.stall_timeout_ms = transport_.stall_timeout_ms;
    settings.response_bytes_max = transport_.response_bytes_max;
    return settings;
  }

  // A client of one AWS service, in the account and region that the export is for.
  Result<std::unique_ptr<AwsClient>> aws_client(const AwsService& service, const AwsAccess& access,
                                                const ExportSpec& spec) {
    WEIR_RETURN_IF_ERROR(hub_->usable());
    AwsOptions aws = hub_->aws();
    if (!access.region.empty()) aws.region = access.region;
    // Without a region the instance may know one; that is asked when there is something to send.
    const bool region_later = aws.region.empty() && hub_->may_find_region();
    Url endpoint;
    if (!region_later) {
      WEIR_TRY(endpoint, aws_endpoint(aws, service));
    }
    WEIR_TRY(const auto provider, hub_->for_role(access.role));
    // The hub asks for them, so it lives as long as they are used, whatever replaces it.
    const auto both =
        std::make_shared<std::pair<decltype(hub_), decltype(provider)>>(hub_, provider);
    std::shared_ptr<CredentialsProvider> keys(both, provider.get());
    CurlSettings curl = settings(spec);
    curl.ca_file = aws.ca_bundle_file;
    auto client = std::make_unique<AwsClient>(
        service, aws.region, std::move(endpoint), std::move(keys),
        make_curl_transport(std::move(curl), operator_pool_, bandwidth_, clock_), clock_, metrics_);
    if (region_later) {
      client->find_place([hub = hub_, aws = std::move(aws), service](
                             const std::stop_token& stop) mutable -> Result<AwsClient::Place> {
        WEIR_TRY(aws.region, hub->region(stop));
        WEIR_TRY(Url found, aws_endpoint(aws, service));
        return AwsClient::Place{aws.region, std::move(found)};
      });
    }
    return client;
  }

  Made make_kinesis(const ExportSpec& spec, const KinesisOptions& options,
                    const AwsAccess& access) {
    WEIR_RETURN_IF_ERROR(kinesis::validate(spec.config.target, options));
    WEIR_TRY(auto keys, kinesis::KeyMaker::create(
                            options.partition_key, spec.stream_name, Rng(seed_ + ++made_).next(),
                            metrics_.counter(kPartitionKeyFallbackTotal, {"kinesis"})));
    WEIR_TRY(auto client, aws_client(kKinesis, access, spec));
    return std::make_unique<kinesis::KinesisDestination>(
        kinesis::KinesisDestination::Setup{spec.config.target, options, std::move(keys),
                                           std::move(client)},
        clock_, metrics_);
  }

  Made make_firehose(const ExportSpec& spec, const FirehoseOptions& options,
                     const AwsAccess& access) {
    WEIR_RETURN_IF_ERROR(firehose::validate(spec.config.target, options));
    WEIR_TRY(auto client, aws_client(kFirehose, access, spec));
    if (options.make) return options.make(std::move(client));
    return std::make_unique<firehose::FirehoseDestination>(
        firehose::FirehoseDestination::Setup{spec.config.target, options, std::move(client)},
        metrics_);
  }

  Made make_sitewise(const ExportSpec& spec, const AwsAccess& access) {
    AwsService service = kSitewise;
    const auto& environment = hub_->aws().environment;
    const auto off = environment.find("AWS_DISABLE_HOST_PREFIX_INJECTION");
    if (off != environment.end() && off->second == "true") service.host_prefix = "iotsitewise";
    WEIR_TRY(auto client, aws_client(service, access, spec));
    return std::make_unique<sitewise::SitewiseDestination>(std::move(client), metrics_);
  }

  Made make_iot_analytics(const ExportSpec& spec, const AwsAccess& access) {
    const std::string prefix = spec.config.iot_msg_id_prefix.value_or("");
    WEIR_RETURN_IF_ERROR(iot_analytics::validate(spec.config.target, prefix));
    WEIR_RETURN_IF_ERROR(hub_->usable());
    const AwsOptions& aws = hub_->aws();
    const auto own = aws.service_endpoint_urls.find(kIotAnalytics.name);
    const bool has_endpoint = !aws.endpoint_url.empty() ||
                              (own != aws.service_endpoint_urls.end() && !own->second.empty());
    if (!has_endpoint) return fail(iot_analytics::service_retired());
    WEIR_TRY(auto client, aws_client(kIotAnalytics, access, spec));
    return std::make_unique<iot_analytics::IotAnalyticsDestination>(
        iot_analytics::IotAnalyticsDestination::Setup{spec.config.target, prefix, spec.stream_name,
                                                      std::move(client)},
        metrics_);
  }

  Made make_s3(const ExportSpec& spec, const S3Options& options, const AwsAccess& access) {
    AwsOptions aws = hub_->aws();
    if (!access.region.empty()) aws.region = access.region;
    const auto own = aws.service_endpoint_urls.find(kS3.name);
    const std::string& override_url = own != aws.service_endpoint_urls.end() && !own->second.empty()
                                          ? own->second
                                          : aws.endpoint_url;
    s3::Client::Setup client;
    client.overridden = !override_url.empty();
    client.hashes_bodies = override_url.starts_with("http:");
    client.path_style = options.path_style;
    WEIR_TRY(client.aws, aws_client(kS3, access, spec));
    client.place = [hub = hub_, aws = std::move(aws)](
                       const std::string& region,
                       const std::stop_token& stop) -> Result<AwsClient::Place> {
      AwsOptions there = aws;
      if (!region.empty()) there.region = region;
      if (there.region.empty()) {
        WEIR_TRY(there.region, hub->region(stop));
      }
      WEIR_TRY(Url endpoint, aws_endpoint(there, kS3));
      return AwsClient::Place{there.region, std::move(endpoint)};
    };
    if (options.input_directories.empty() && !open_to_all_files_said_.exchange(true)) {
      log::warn(
          "Clients may have any file uploaded that weir can read; name the directories that are "
          "meant for it in export.s3.input_directories.");
    }
    s3::S3Destination::Setup setup;
    setup.stream_name = spec.stream_name;
    setup.identifier = spec.config.identifier;
    if (const auto& status = spec.config.status_config) {
      setup.status_stream = status->status_stream_name.value_or("");
      setup.status_level = status->status_level.value_or(model::StatusLevel::kInfo);
    }
    setup.part_bytes = options.part_bytes_min;
    setup.threshold_bytes = spec.config.size_threshold_for_multipart_upload_bytes.value_or(
        std::max(s3::kPartBytesMin, options.part_bytes_min));
    setup.input.directories = options.input_directories;
    setup.denied = options.denied_paths;
    setup.client = std::make_unique<s3::Client>(std::move(client));
    setup.streams = options.streams;
    setup.notes = spec.notes;
    return std::make_unique<s3::S3Destination>(std::move(setup), clock_, metrics_);
  }

  Made make_http(const ExportSpec& spec, const HttpOptions& options) {
    WEIR_TRY(Url target, http::check_target(spec.config.target, transport_.own_ports));
    WEIR_RETURN_IF_ERROR(http::validate(options));
    WEIR_RETURN_IF_ERROR(check_readable(options.ca_file, "read the CA file"));
    WEIR_RETURN_IF_ERROR(
        check_readable(options.client_certificate_file, "read the client certificate"));
    WEIR_RETURN_IF_ERROR(check_readable(options.client_key_file, "read the client key"));
    CurlSettings curl = settings(spec);
    curl.ca_file = options.ca_file;
    curl.client_certificate_file = options.client_certificate_file;
    curl.client_key_file = options.client_key_file;
    curl.client_chosen_target = true;
    curl.own_ports = transport_.own_ports;
    return std::make_unique<http::HttpDestination>(
        http::HttpDestination::Setup{
            std::move(target),
            spec.config.export_format.value_or(model::ExportFormat::kRawNotBatched), options,
            make_curl_transport(std::move(curl), client_pool_, bandwidth_, clock_)},
        clock_, metrics_);
  }

  Made make_file(const ExportSpec& spec, FileOptions options) {
    if (options.directory.empty()) options.directory = spec.config.target;
    WEIR_RETURN_IF_ERROR(file_export::validate(options));
    auto open = [directories = directories_, path = options.directory](bool again) {
      return directories->open(path, again);
    };
    return std::make_unique<file_export::FileDestination>(
        file_export::FileDestination::Setup{spec.stream_name, spec.config.identifier, options,
                                            std::move(open)},
        clock_, metrics_);
  }

  const std::shared_ptr<credentials::Hub> hub_;
  const TransportOptions transport_;
  const OptionsLookup lookup_;
  Clock& clock_;
  metrics::Registry& metrics_;
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> made_{0};
  const std::shared_ptr<CurlPool> operator_pool_;
  const std::shared_ptr<CurlPool> client_pool_;
  const std::shared_ptr<exporter::BandwidthLimiter> bandwidth_;
  const std::shared_ptr<Directories> directories_;
  std::atomic<bool> open_to_all_files_said_{false};
};

}  // namespace

std::shared_ptr<credentials::Hub> make_credentials(const AwsOptions& aws,
                                                   const TransportOptions& transport, Clock& clock,
                                                   metrics::Registry& metrics,
                                                   std::uint64_t random_seed) {
  auto whole = credentials::with_profile(aws);
  if (!whole) {
    log::warn(
        "Cannot use the shared files of the AWS tools; AWS exports wait until it is corrected.",
        {{"error", whole.error().what}});
  }
  auto connect = [transport, pool = make_curl_pool(),
                  unlimited = std::make_shared<exporter::BandwidthLimiter>(0, clock),
                  &clock](const credentials::Link& link) {
    CurlSettings curl;
    curl.connect_timeout_ms =
        link.connect_timeout_ms > 0 ? link.connect_timeout_ms : transport.connect_timeout_ms;
    curl.stall_timeout_ms = transport.stall_timeout_ms;
    curl.response_bytes_max = std::min<std::int64_t>(transport.response_bytes_max, 1 << 20);
    curl.ca_file = link.ca_file;
    curl.client_certificate_file = link.certificate_file;
    curl.client_key_file = link.key_file;
    curl.bypass_proxies = !link.proxy;
    curl.total_timeout_ms = link.total_timeout_ms;
    return make_curl_transport(std::move(curl), pool, unlimited, clock);
  };
  return std::make_shared<credentials::Hub>(whole ? *whole : aws, std::move(connect), clock,
                                            metrics, random_seed,
                                            whole ? std::string() : whole.error().what);
}

Result<exporter::DestinationFactory> make_factory(
    const AwsOptions& aws, const TransportOptions& transport, OptionsLookup lookup, Clock& clock,
    metrics::Registry& metrics, std::uint64_t random_seed,
    std::shared_ptr<credentials::Hub> credentials,
    std::shared_ptr<exporter::BandwidthLimiter> bandwidth) {
  if (credentials == nullptr) {
    credentials = make_credentials(aws, transport, clock, metrics, random_seed);
  }
  WEIR_RETURN_IF_ERROR(check_readable(
      aws.ca_bundle_file, "read the CA bundle (export.aws.ca_bundle_file or AWS_CA_BUNDLE)"));
  if (transport.connect_timeout_ms < 1 || transport.stall_timeout_ms < 1 ||
      transport.response_bytes_max < 1) {
    return fail(Errc::kInvalidArgument,
                "timeouts and response limits of exports must be at least 1");
  }
  if (bandwidth == nullptr) {
    bandwidth =
        std::make_shared<exporter::BandwidthLimiter>(transport.bandwidth_bits_per_second, clock);
  }
  auto maker = std::make_shared<Maker>(std::move(credentials), transport, std::move(lookup), clock,
                                       metrics, random_seed, std::move(bandwidth));
  return exporter::DestinationFactory(
      [maker](const ExportSpec& spec) { return maker->make(spec); });
}

}  // namespace weir::destination
