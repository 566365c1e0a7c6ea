#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "destination/clock_skew.h"
#include "destination/credentials.h"
#include "destination/http_transport.h"
#include "destination/sigv4.h"
#include "destination/url.h"
#include "exporter/destination.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination {

struct AwsError;
struct AwsOptions;

/// Reads a refusal in the form a service writes it (JSON, XML) and with the service's own classes.
using AwsErrorReader = AwsError (*)(const HttpResponse&);

/// Where a service is reached and how its requests are signed.
struct AwsService {
  std::string name;          ///< "kinesis": in configuration, metrics and the endpoint variable
  std::string signing_name;  ///< in the credential scope
  std::string host_prefix;   ///< "kinesis" in kinesis.{region}.{suffix}
  /// Null: `read_aws_error`, which reads JSON and knows the codes that all services share.
  AwsErrorReader read_error = nullptr;
};

/// One request to a service, before it is signed.
struct AwsCall {
  std::string_view operation;   ///< "PutRecords": for the log
  std::string method = "POST";  ///< GET, HEAD, PUT, POST or DELETE
  /// Appended to the path of the endpoint; percent-encoded as it goes over the wire (strictly for
  /// S3: destinations.md §19), begins with '/'.
  std::string path = "/";
  std::string query;  ///< percent-encoded, without '?'; "uploads" and "uploads=" are the same
  /// Content-Type, X-Amz-Target and whatever else is sent and signed. Host and User-Agent are
  /// added.
  std::vector<HttpHeader> headers;
  Bytes body;
  BodySource* source = nullptr;  ///< in place of `body`; then `payload_hash` is given
  std::int64_t patience_ms = 0;  ///< see `HttpRequest`
  std::string payload_hash;  ///< "": computed; or `sha256_hex` of the body, or `kUnsignedPayload`
  /// In place of the client's own endpoint, for a bucket's own host.
  std::optional<Url> endpoint;
  std::string region;  ///< in place of the client's own, where "" stands for it
};

/// A call of the JSON protocol: POST to the endpoint's path, `target` is X-Amz-Target.
AwsCall json_call(std::string_view target, std::string_view content_type, Bytes body);

/// The endpoint of `service`: an override from the options with its path, else the public host of
/// the region, in its FIPS or dual-stack form where the options ask for that. Pure.
///
/// Errors: kInvalidArgument (no or malformed region, malformed override, FIPS or dual-stack
/// together with an override), saying what to set.
Result<Url> aws_endpoint(const AwsOptions& aws, const AwsService& service);

/// What became of one call. `http` is complete and its status 2xx exactly when `failure` is kNone.
struct AwsReply {
  exporter::FailureClass failure = exporter::FailureClass::kNone;
  std::string code;
  std::string message;  ///< the service's own, not escaped
  std::string error;    ///< for people: cut and escaped
  std::optional<Duration> retry_after;
  bool without_keys = false;  ///< nothing was sent: there are no credentials
  HttpResponse http;

  [[nodiscard]] exporter::Outcome outcome() const;
};

/// Calls one AWS service: endpoint, signature, credentials, clock offset, error classes.
///
/// A call that fails because of the clock or the keys, or that the keys do not permit, is repeated
/// once at once, if the answer's date or a refresh gave a reason to hope; every other failure is
/// left to the engine's schedule.
/// Lifetime: `clock` and `metrics` outlive the client. Threads: one call at a time.
class AwsClient {
 public:
  AwsClient(AwsService service, std::string region, Url endpoint,
            std::shared_ptr<CredentialsProvider> credentials,
            std::unique_ptr<HttpTransport> transport, Clock& clock, metrics::Registry& metrics);

  /// Signs and sends `call`. Blocks.
  AwsReply call(const AwsCall& call, const std::stop_token& stop);

  /// The last answer was the service's own, not that of something on the way: what it said of the
  /// time may decide about data.
  void believe_time() { service_time_.believe(); }
  /// The service's time now, if an answer that was believed has told it lately: `ServiceTime`.
  [[nodiscard]] std::optional<std::int64_t> service_wall_ms() const {
    return service_time_.wall_ms(clock_);
  }

  /// Names the server, for `Destination::host`.
  [[nodiscard]] std::string host() const;

  /// Where the service is, for a client that was made before its region was known.
  struct Place {
    std::string region;
    Url endpoint;
  };
  /// Asked before the first call, and before the next ones until it knows; blocks. Until then
  /// `host` is empty.
  void find_place(std::function<Result<Place>(const std::stop_token&)> find) {
    find_place_ = std::move(find);
  }

 private:
  HttpResponse send_signed(const AwsCall& call, const std::string& payload_hash,
                           const Credentials& credentials, std::stop_token stop);
  SigV4Signer& signer_for(const std::string& region);
  /// Keys that may be taken where `used` were not; none if there are no others.
  std::optional<Credentials> other_keys(const AwsCall& call, const AwsReply& reply,
                                        const Credentials& used, const std::stop_token& stop);
  AwsReply judge(std::string_view operation, HttpResponse response) const;
  bool learn_time(const HttpResponse& response, Instant sent_at, std::int64_t sent_wall_ms);
  void count(const AwsReply& reply, std::size_t body_bytes);

  AwsService service_;
  std::string region_;
  Url endpoint_;
  std::function<Result<Place>(const std::stop_token&)> find_place_;
  std::shared_ptr<CredentialsProvider> credentials_;
  std::unique_ptr<HttpTransport> transport_;
  Clock& clock_;
  metrics::Registry& metrics_;
  std::optional<SigV4Signer> signer_;  // of the region called last
  std::string signer_region_;
  ClockSkew skew_;
  ServiceTime service_time_;
  bool offset_changed_ = false;
};

}  // namespace weir::destination
