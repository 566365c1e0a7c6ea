#include "destination/probe.h"

#include "base/log.h"
#include "destination/aws_error.h"
#include "destination/credentials/hub.h"
#include "destination/curl_transport.h"
#include "destination/firehose/destination.h"
#include "destination/http/target.h"
#include "destination/http_date.h"
#include "destination/kinesis/destination.h"
#include "destination/kinesis/request.h"
#include "destination/percent.h"
#include "destination/services.h"
#include "exporter/bandwidth.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::destination {
namespace {

using exporter::FailureClass;
using nlohmann::json;
using Level = ProbeReport::Level;

constexpr std::int64_t kCallMs = 5'000;
constexpr std::string_view kFirehoseType = "application/x-amz-json-1.1";
constexpr std::size_t kPermissionBytesMax = 128;

ProbeReport problem(std::string seen, std::string fix) {
  return {Level::kProblem, std::move(seen), std::move(fix), {}, {}};
}

ProbeReport not_asked(std::string seen) { return {Level::kNotAsked, std::move(seen), {}, {}, {}}; }

bool is_denied(const AwsReply& reply) {
  return reply.code.find("AccessDenied") != std::string::npos ||
         reply.code == "UnauthorizedOperation" || reply.code == "AuthorizationError" ||
         (reply.http.status == 403 && reply.failure == FailureClass::kOperator &&
          !blames_secret(reply.code, reply.message));
}

bool is_missing(const AwsReply& reply) {
  return reply.code == "ResourceNotFoundException" || reply.code == "NoSuchBucket" ||
         (reply.code.empty() && reply.http.status == 404);
}

/// The request was understood, its sender known and allowed: it was refused for what it asks.
bool passed_the_door(const AwsReply& reply) {
  return reply.failure == FailureClass::kNone || reply.failure == FailureClass::kPoison ||
         reply.failure == FailureClass::kBug || reply.code == "NoSuchUpload";
}

/// Failures that have nothing to do with what was asked; none if `reply` is not one of them.
std::optional<ProbeReport> common_failure(const std::string& what, const AwsReply& reply) {
  switch (reply.failure) {
    case FailureClass::kCredentials:
      if (reply.http.status == 0) {
        return not_asked(what + " was not asked: there are no credentials");
      }
      return problem(what + " does not take the keys: " + reply.error,
                     "renew the credentials, see the line about them");
    case FailureClass::kClock:
      return problem(what + " refuses the time of the request: " + reply.error,
                     "set this machine's clock (timedatectl set-ntp true)");
    case FailureClass::kThrottle:
      return ProbeReport{Level::kWarning,
                         what + " answers that there are too many calls: " + reply.error,
                         "ask for a higher quota if this lasts",
                         {},
                         {}};
    case FailureClass::kTransient:
      if (reply.http.connection_failed || reply.http.cancelled || reply.http.status == 0) {
        return problem(what + ": " + reply.error, "see the line about its host");
      }
      return ProbeReport{Level::kWarning,
                         what + " answers " + reply.error,
                         "nothing to do if this passes; weir keeps trying",
                         {},
                         {}};
    default:
      break;
  }
  if (blames_secret(reply.code, reply.message)) {
    return problem(what + " does not accept the signature: " + reply.error,
                   "the secret key does not belong to the key id: set both again");
  }
  return std::nullopt;
}

AwsReply found_nothing(AwsReply reply) {
  AwsReply fine;
  fine.http = std::move(reply.http);
  fine.http.status = 200;
  return fine;
}

std::optional<std::int64_t> clock_ahead(const HttpResponse& response, const Clock& clock) {
  if (response.status == 0) return std::nullopt;
  const auto theirs = parse_http_date(response.header("date"));
  if (!theirs) return std::nullopt;
  return *theirs - clock.wall_ms();
}

/// `member` of the object `of` in a JSON answer, "" if it is not there.
std::string text_in(const std::string& body, const char* of, const char* member) {
  const json document = json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  const auto inner = document.find(of);
  if (inner == document.end() || !inner->is_object()) return {};
  const auto found = inner->find(member);
  if (found == inner->end() || !found->is_string()) return {};
  return log::escaped(found->get<std::string>(), 40);
}

std::string body_of(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

void note_state(ProbeReport& report, const std::string& what, const std::string& state) {
  if (report.level != Level::kFine || state.empty() || state == "ACTIVE") return;
  report.level = Level::kWarning;
  report.seen = what + " is in state " + state;
  report.fix = "wait until it is ACTIVE";
}

}  // namespace

std::string missing_permission(std::string_view message, const std::string& otherwise) {
  constexpr std::string_view kBefore = "not authorized to perform: ";
  const auto at = message.find(kBefore);
  if (at == std::string_view::npos) return otherwise;
  const std::string_view rest = message.substr(at + kBefore.size());
  const std::string_view named = rest.substr(0, rest.find_first_of(" \t\r\n,"));
  const bool sound = named.size() <= kPermissionBytesMax &&
                     named.find(':') != std::string_view::npos &&
                     std::all_of(named.begin(), named.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == ':' || c == '-' || c == '*';
                     });
  return sound ? std::string(named) : otherwise;
}

ProbeReport judge_calls(const std::string& what, const ProbeCall& look, const ProbeCall& write) {
  if (auto failed = common_failure(what, look.reply)) return *failed;
  if (is_missing(look.reply)) {
    return problem(what + " does not exist: " + look.reply.error,
                   "create it, or correct its name, region or account in the export");
  }
  if (is_denied(write.reply)) {
    ProbeReport report = problem(what + " refuses: " + write.reply.error, {});
    report.permission = missing_permission(write.reply.message, write.permission);
    report.fix = "allow " + report.permission + " to the identity that weir uses";
    return report;
  }
  if (auto failed = common_failure(what, write.reply)) return *failed;
  if (is_missing(write.reply)) {
    return problem(what + " does not exist: " + write.reply.error,
                   "create it, or correct its name, region or account in the export");
  }
  if (is_denied(look.reply)) {
    ProbeReport report;
    report.level = Level::kWarning;
    report.permission = missing_permission(look.reply.message, look.permission);
    report.seen = what + " knows the keys and does not refuse " + write.permission +
                  "; it may not be looked at: " + look.reply.error;
    report.fix = "allow " + report.permission + " for a closer look; weir itself does not need it";
    return report;
  }
  if (!passed_the_door(look.reply) || !passed_the_door(write.reply)) {
    const AwsReply& odd = passed_the_door(look.reply) ? write.reply : look.reply;
    return problem(what + " answers " + odd.error, "see what the service says about this code");
  }
  return {Level::kFine, what + " answers; " + write.permission + " is not refused", {}, {}, {}};
}

Prober::Prober(std::shared_ptr<credentials::Hub> hub, TransportOptions transport, Clock& clock,
               metrics::Registry& metrics)
    : hub_(std::move(hub)), transport_(std::move(transport)), clock_(clock), metrics_(metrics) {}

namespace {

/// The service of an export type; null: not one of AWS.
const AwsService* service_of(model::ExportType type) {
  switch (type) {
    case model::ExportType::kKinesis:
      return &kKinesis;
    case model::ExportType::kFirehose:
      return &kFirehose;
    case model::ExportType::kIotSitewise:
      return &kSitewise;
    case model::ExportType::kS3TaskExecutor:
      return &kS3;
    case model::ExportType::kIotAnalytics:
      return &kIotAnalytics;
    default:
      return nullptr;
  }
}

/// As in the factory: some networks have names for the plain host only.
AwsService in_force(AwsService service, const AwsOptions& aws) {
  const auto off = aws.environment.find("AWS_DISABLE_HOST_PREFIX_INJECTION");
  if (service.name == kSitewise.name && off != aws.environment.end() && off->second == "true") {
    service.host_prefix = "iotsitewise";
  }
  return service;
}

bool has_endpoint(const AwsOptions& aws, const std::string& service) {
  const auto own = aws.service_endpoint_urls.find(service);
  return !aws.endpoint_url.empty() ||
         (own != aws.service_endpoint_urls.end() && !own->second.empty());
}

constexpr const char* kAnalyticsEnded =
    "AWS IoT Analytics has ended: nothing sent there arrives any more";
constexpr const char* kAnalyticsFix =
    "send these messages elsewhere with a redirect in weir's configuration (docs/destinations.md)";

}  // namespace

Result<std::optional<Url>> Prober::server(const ProbeTarget& target) const {
  const model::ExportType type = target.spec.config.type;
  if (type == model::ExportType::kHttp) {
    WEIR_TRY(Url url, http::check_target(target.spec.config.target, transport_.own_ports));
    return std::optional<Url>(std::move(url));
  }
  const AwsService* const service = service_of(type);
  if (service == nullptr) return std::optional<Url>();
  AwsOptions aws = hub_->aws();
  if (type == model::ExportType::kIotAnalytics && !has_endpoint(aws, service->name)) {
    return fail(Errc::kNotFound, kAnalyticsEnded);
  }
  if (!target.options.aws.region.empty()) aws.region = target.options.aws.region;
  // The instance may know the region; that is asked with the calls.
  if (aws.region.empty() && hub_->may_find_region()) return std::optional<Url>();
  WEIR_TRY(Url url, aws_endpoint(aws, in_force(*service, aws)));
  return std::optional<Url>(std::move(url));
}

Result<Prober::Connection> Prober::connect(const AwsService& service, const AwsAccess& access,
                                           const std::stop_token& stop) const {
  AwsOptions aws = hub_->aws();
  if (!access.region.empty()) aws.region = access.region;
  if (aws.region.empty()) {
    WEIR_TRY(aws.region, hub_->region(stop));
  }
  const AwsService used = in_force(service, aws);
  Connection made;
  WEIR_TRY(made.endpoint, aws_endpoint(aws, used));
  made.region = aws.region;
  WEIR_TRY(auto provider, hub_->for_role(access.role.role_arn.empty() ? aws.role : access.role));
  CurlSettings curl;
  curl.connect_timeout_ms = kCallMs;
  curl.stall_timeout_ms = kCallMs;
  curl.total_timeout_ms = kCallMs;
  curl.response_bytes_max = transport_.response_bytes_max;
  curl.ca_file = aws.ca_bundle_file;
  made.client = std::make_unique<AwsClient>(
      used, made.region, made.endpoint, std::move(provider),
      make_curl_transport(std::move(curl), make_curl_pool(),
                          std::make_shared<exporter::BandwidthLimiter>(0, clock_), clock_),
      clock_, metrics_);
  return made;
}

ProbeReport Prober::probe(const ProbeTarget& target, const std::stop_token& stop) const {
  switch (target.spec.config.type) {
    case model::ExportType::kKinesis:
      return probe_kinesis(target, stop);
    case model::ExportType::kFirehose:
      return probe_firehose(target, stop);
    case model::ExportType::kIotSitewise:
      return probe_sitewise(target, stop);
    case model::ExportType::kS3TaskExecutor:
      return probe_s3(target, stop);
    case model::ExportType::kHttp:
      return probe_http(target, stop);
    case model::ExportType::kIotAnalytics:
      if (!has_endpoint(hub_->aws(), kIotAnalytics.name)) {
        return problem(kAnalyticsEnded, kAnalyticsFix);
      }
      return not_asked("the service has ended; a stand-in is configured and was not asked");
    case model::ExportType::kFile:
    case model::ExportType::kMqtt:
      break;
  }
  return not_asked("there is nothing to call");
}

ProbeReport Prober::probe_kinesis(const ProbeTarget& target, const std::stop_token& stop) const {
  const std::string& name = target.spec.config.target;
  if (const auto valid = kinesis::validate(name, target.options.kinesis); !valid) {
    return problem(valid.error().what, "correct the export");
  }
  auto connection = connect(kKinesis, target.options.aws, stop);
  if (!connection) return problem(connection.error().what, "set what is missing");
  const std::string look_body = body_of({{"StreamName", name}});
  const std::string write_body = body_of({{"StreamName", name}, {"Records", json::array()}});
  AwsClient& client = *connection->client;
  const ProbeCall look{"kinesis:DescribeStreamSummary",
                       client.call(json_call("Kinesis_20131202.DescribeStreamSummary",
                                             kinesis::kContentType, as_bytes(look_body)),
                                   stop)};
  const std::string what = "Kinesis stream '" + log::escaped(name) + "' in " + connection->region;
  ProbeCall write{"kinesis:PutRecords", {}};
  if (!common_failure(what, look.reply)) {
    write.reply = client.call(
        json_call(kinesis::kPutRecords, kinesis::kContentType, as_bytes(write_body)), stop);
  }
  ProbeReport report = judge_calls(what, look, write);
  note_state(report, what,
             text_in(look.reply.http.body, "StreamDescriptionSummary", "StreamStatus"));
  report.clock_ahead_ms = clock_ahead(look.reply.http, clock_);
  return report;
}

ProbeReport Prober::probe_firehose(const ProbeTarget& target, const std::stop_token& stop) const {
  const std::string& name = target.spec.config.target;
  if (const auto valid = firehose::validate(name, target.options.firehose); !valid) {
    return problem(valid.error().what, "correct the export");
  }
  auto connection = connect(kFirehose, target.options.aws, stop);
  if (!connection) return problem(connection.error().what, "set what is missing");
  const std::string look_body = body_of({{"DeliveryStreamName", name}});
  const std::string write_body =
      body_of({{"DeliveryStreamName", name}, {"Records", json::array()}});
  AwsClient& client = *connection->client;
  const ProbeCall look{"firehose:DescribeDeliveryStream",
                       client.call(json_call("Firehose_20150804.DescribeDeliveryStream",
                                             kFirehoseType, as_bytes(look_body)),
                                   stop)};
  const std::string what =
      "Firehose delivery stream '" + log::escaped(name) + "' in " + connection->region;
  ProbeCall write{"firehose:PutRecordBatch", {}};
  if (!common_failure(what, look.reply)) {
    write.reply = client.call(
        json_call("Firehose_20150804.PutRecordBatch", kFirehoseType, as_bytes(write_body)), stop);
  }
  ProbeReport report = judge_calls(what, look, write);
  note_state(report, what,
             text_in(look.reply.http.body, "DeliveryStreamDescription", "DeliveryStreamStatus"));
  report.clock_ahead_ms = clock_ahead(look.reply.http, clock_);
  return report;
}

ProbeReport Prober::probe_sitewise(const ProbeTarget& target, const std::stop_token& stop) const {
  auto connection = connect(kSitewise, target.options.aws, stop);
  if (!connection) return problem(connection.error().what, "set what is missing");
  AwsClient& client = *connection->client;
  AwsCall read;
  read.operation = "GetAssetPropertyValue";
  read.method = "GET";
  read.path = "/properties/latest";
  read.query = "propertyAlias=%2Fweir-doctor";
  ProbeCall look{"iotsitewise:GetAssetPropertyValue", client.call(read, stop)};
  // An alias that nobody has: to be told so is what an allowed look ends with.
  if (is_missing(look.reply)) look.reply = found_nothing(std::move(look.reply));
  const std::string what = "IoT SiteWise in " + connection->region;
  ProbeCall write{"iotsitewise:BatchPutAssetPropertyValue", {}};
  const std::string body = R"({"entries":[]})";
  if (!common_failure(what, look.reply)) {
    AwsCall put;
    put.operation = "BatchPutAssetPropertyValue";
    put.path = "/properties";
    put.headers = {{"Content-Type", "application/json"}};
    put.body = as_bytes(body);
    write.reply = client.call(put, stop);
  }
  ProbeReport report = judge_calls(what, look, write);
  report.clock_ahead_ms = clock_ahead(look.reply.http, clock_);
  return report;
}

ProbeReport Prober::probe_s3(const ProbeTarget& target, const std::stop_token& stop) const {
  if (target.bucket.empty()) {
    return not_asked("no upload task is stored now, so it is not known which bucket to ask");
  }
  auto connection = connect(kS3, target.options.aws, stop);
  if (!connection) return problem(connection.error().what, "set what is missing");
  AwsClient& client = *connection->client;
  const std::string bucket = "/" + percent_encoded(target.bucket, false);
  AwsCall head;
  head.operation = "HeadBucket";
  head.method = "HEAD";
  head.path = bucket;
  const ProbeCall look{"s3:ListBucket", client.call(head, stop)};
  const std::string what = "S3 bucket '" + log::escaped(target.bucket) + "'";
  if (look.reply.http.status == 301) {
    ProbeReport report;
    report.level = Level::kFine;
    report.seen = what + " is in another region; weir goes there by itself";
    report.clock_ahead_ms = clock_ahead(look.reply.http, clock_);
    return report;
  }
  ProbeCall write{"s3:PutObject", {}};
  if (!common_failure(what, look.reply)) {
    // A part of an upload that does not exist: allowed or not, nothing is stored.
    AwsCall put;
    put.operation = "UploadPart";
    put.method = "PUT";
    put.path = bucket + "/" + percent_encoded(target.key, true);
    put.query = "partNumber=1&uploadId=weir-doctor";
    write.reply = client.call(put, stop);
  }
  ProbeReport report = judge_calls(what, look, write);
  report.clock_ahead_ms = clock_ahead(look.reply.http, clock_);
  return report;
}

ProbeReport Prober::probe_http(const ProbeTarget& target, const std::stop_token& stop) const {
  const auto url = http::check_target(target.spec.config.target, transport_.own_ports);
  if (!url) return problem(url.error().what, "correct the uri of the export");
  CurlSettings curl;
  curl.connect_timeout_ms = kCallMs;
  curl.stall_timeout_ms = kCallMs;
  curl.total_timeout_ms = kCallMs;
  curl.ca_file = target.options.http.ca_file;
  curl.client_certificate_file = target.options.http.client_certificate_file;
  curl.client_key_file = target.options.http.client_key_file;
  curl.client_chosen_target = true;
  curl.own_ports = transport_.own_ports;
  const auto transport =
      make_curl_transport(std::move(curl), make_curl_pool(),
                          std::make_shared<exporter::BandwidthLimiter>(0, clock_), clock_);
  HttpRequest request;
  request.method = "HEAD";
  request.url = url->text();
  request.headers = {{"User-Agent", "weir/" WEIR_VERSION}};
  const HttpResponse response = transport->send(request, stop);
  const std::string what = url->origin();
  if (!response.complete()) {
    return problem(what + ": no answer: " + log::escaped(response.error),
                   "see the line about its host");
  }
  ProbeReport report;
  report.clock_ahead_ms = clock_ahead(response, clock_);
  const std::string answer = what + " answers " + std::to_string(response.status) + " to HEAD";
  if (response.status == 407) {
    report.level = Level::kProblem;
    report.seen = "the proxy wants a user and password (407)";
    report.fix = "put them into the proxy's address: http://user:password@host:port";
  } else if (response.status == 401 || response.status == 403) {
    const bool token = !target.options.http.bearer_token_file.empty();
    report.level = token ? Level::kFine : Level::kWarning;
    report.seen = answer + (token ? ", asked without the token" : "");
    if (!token) report.fix = "if it wants a token, name its file in http.bearer_token_file";
  } else if (response.status >= 500 && response.status != 501) {
    report.level = Level::kWarning;
    report.seen = answer;
    report.fix = "look at the receiver; weir keeps trying";
  } else {
    report.seen = answer + "; exports use POST";
    if (response.status == 404) {
      report.level = Level::kWarning;
      report.fix = "correct the path of the uri, unless it knows POST only";
    }
  }
  return report;
}

}  // namespace weir::destination
