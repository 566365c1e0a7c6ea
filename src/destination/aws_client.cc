#include "destination/aws_client.h"

#include "base/log.h"
#include "destination/aws_error.h"
#include "destination/http_date.h"
#include "destination/metrics.h"
#include "destination/options.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace weir::destination {
namespace {

using exporter::FailureClass;

constexpr std::int64_t kRetryAfterMaxMs = 300'000;
constexpr std::size_t kErrorBytesMax = 512;  // of texts about credentials, which name the fix

// The address of one call: the path of the endpoint is a prefix, as it was written.
Url target_of(Url url, const AwsCall& call) {
  if (call.path != "/") {
    if (url.path.ends_with('/')) url.path.pop_back();
    url.path += call.path;
  }
  if (!call.query.empty()) {
    url.query = url.query.empty() ? call.query : url.query + '&' + call.query;
    url.has_query = true;
  }
  return url;
}

std::optional<Duration> wanted_wait(const HttpResponse& response, std::int64_t now_wall_ms) {
  const auto own = response.header("x-amz-retry-after");  // milliseconds
  if (!own.empty()) {
    std::int64_t wait_ms = 0;
    const auto [end, error] = std::from_chars(own.data(), own.data() + own.size(), wait_ms);
    if (error == std::errc{} && end == own.data() + own.size()) {
      return std::chrono::milliseconds(std::clamp<std::int64_t>(wait_ms, 0, kRetryAfterMaxMs));
    }
  }
  return parse_retry_after(response.header("retry-after"), now_wall_ms);
}

AwsReply without_keys(const Error& error) {
  AwsReply reply;
  reply.without_keys = error.code != Errc::kCancelled;
  const bool may_pass = error.code == Errc::kUnavailable || error.code == Errc::kCancelled;
  reply.failure = may_pass ? FailureClass::kTransient : FailureClass::kCredentials;
  reply.error = log::escaped(error.what, kErrorBytesMax);
  return reply;
}

AwsReply without_place(const Error& error) {
  AwsReply reply;
  reply.failure = FailureClass::kOperator;
  reply.error = log::escaped(error.what, kErrorBytesMax);
  return reply;
}

// Known keys that may not do this: a policy is missing, or they are those of somebody else and a
// person has put others in their place by now.
bool is_denied(const AwsReply& reply) {
  return reply.failure == FailureClass::kOperator &&
         (reply.http.status == 401 || reply.http.status == 403 ||
          reply.code.starts_with("AccessDenied"));
}

}  // namespace

AwsCall json_call(std::string_view target, std::string_view content_type, Bytes body) {
  AwsCall call;
  call.operation = target.substr(target.find('.') + 1);
  call.headers = {{"Content-Type", std::string(content_type)},
                  {"X-Amz-Target", std::string(target)}};
  call.body = body;
  return call;
}

exporter::Outcome AwsReply::outcome() const {
  exporter::Outcome outcome = exporter::Outcome::retry(failure, error);
  outcome.retry_after = retry_after;
  outcome.connection_failed = http.connection_failed;
  outcome.without_keys = without_keys;
  return outcome;
}

AwsClient::AwsClient(AwsService service, std::string region, Url endpoint,
                     std::shared_ptr<CredentialsProvider> credentials,
                     std::unique_ptr<HttpTransport> transport, Clock& clock,
                     metrics::Registry& metrics)
    : service_(std::move(service)),
      region_(std::move(region)),
      endpoint_(std::move(endpoint)),
      credentials_(std::move(credentials)),
      transport_(std::move(transport)),
      clock_(clock),
      metrics_(metrics) {}

AwsReply AwsClient::call(const AwsCall& call, const std::stop_token& stop) {
  if (find_place_) {
    auto place = find_place_(stop);
    if (!place) return without_place(place.error());
    region_ = std::move(place->region);
    endpoint_ = std::move(place->endpoint);
    find_place_ = nullptr;
  }
  auto credentials = credentials_->current(stop);
  if (!credentials) return without_keys(credentials.error());
  const std::string payload_hash =
      call.payload_hash.empty() ? sha256_hex(call.body) : call.payload_hash;
  const auto body_bytes =
      call.source != nullptr ? static_cast<std::size_t>(call.source->size()) : call.body.size();

  AwsReply reply = judge(call.operation, send_signed(call, payload_hash, *credentials, stop));
  count(reply, body_bytes);
  bool again = offset_changed_ &&
               (reply.failure == FailureClass::kClock || blames_secret(reply.code, reply.message));
  if (!again && !stop.stop_requested()) {
    if (auto fresh = other_keys(call, reply, *credentials, stop)) {
      credentials = std::move(*fresh);
      again = true;
    }
  }
  if (again && !stop.stop_requested()) {
    reply = judge(call.operation, send_signed(call, payload_hash, *credentials, stop));
    count(reply, body_bytes);
  }
  // Neither the clock nor the age of the keys explains it.
  if (blames_secret(reply.code, reply.message)) reply.failure = FailureClass::kOperator;
  if (reply.failure == FailureClass::kCredentials) {
    const CredentialsView view = credentials_->view();
    if (!view.source.empty()) reply.error += "; the keys come from " + view.source;
  }
  return reply;
}

std::optional<Credentials> AwsClient::other_keys(const AwsCall& call, const AwsReply& reply,
                                                 const Credentials& used,
                                                 const std::stop_token& stop) {
  // A wrong secret or keys that expired look like a wrong clock to some services. What answers HEAD
  // has no body that says that it is about the keys (destinations.md §8.6).
  const bool refused =
      reply.failure == FailureClass::kCredentials || reply.failure == FailureClass::kClock ||
      (call.method == "HEAD" && (reply.http.status == 400 || reply.http.status == 403));
  if (!refused && !is_denied(reply)) return std::nullopt;
  auto fresh = refused ? credentials_->refresh(used, stop) : credentials_->denied(used, stop);
  if (!fresh || *fresh == used) return std::nullopt;
  return std::move(*fresh);
}

std::string AwsClient::host() const {
  return endpoint_.host.empty() ? std::string() : endpoint_.origin();
}

SigV4Signer& AwsClient::signer_for(const std::string& region) {
  if (!signer_ || signer_region_ != region) {
    signer_.emplace(region, service_.signing_name);
    signer_region_ = region;
  }
  return *signer_;
}

HttpResponse AwsClient::send_signed(const AwsCall& call, const std::string& payload_hash,
                                    const Credentials& credentials, std::stop_token stop) {
  const Url url = target_of(call.endpoint ? *call.endpoint : endpoint_, call);
  HttpRequest request;
  request.method = call.method;
  request.url = url.text();
  request.body = call.body;
  request.source = call.source;
  request.patience_ms = call.patience_ms;
  request.headers = {{"Host", url.authority()}, {"User-Agent", "weir/" WEIR_VERSION}};
  request.headers.insert(request.headers.end(), call.headers.begin(), call.headers.end());
  SigningInput input;
  input.method = request.method;
  input.path = url.path;
  input.query = url.query;
  input.headers = &request.headers;
  input.payload_hash = payload_hash;

  const Instant sent_at = clock_.now();
  const std::int64_t sent_wall_ms = clock_.wall_ms();
  auto added = signer_for(call.region.empty() ? region_ : call.region)
                   .sign(input, credentials, skew_.wall_ms(clock_));
  for (HttpHeader& header : added) request.headers.push_back(std::move(header));
  HttpResponse response = transport_->send(request, std::move(stop));
  offset_changed_ = learn_time(response, sent_at, sent_wall_ms);
  return response;
}

// destinations.md §23: every answer tells the destination's time.
bool AwsClient::learn_time(const HttpResponse& response, Instant sent_at,
                           std::int64_t sent_wall_ms) {
  service_time_.hear(response, sent_at, clock_);
  const std::int64_t before_ms = skew_.offset_ms();
  const bool signed_wrong = skew_.learn(response, sent_at, sent_wall_ms, clock_);
  if (skew_.offset_ms() != before_ms) {
    credentials_->clock_is(skew_);
    metrics_.gauge(kClockOffsetMs, {service_.name}).set(skew_.offset_ms());
    log::warn("The clocks of this machine and of a destination differ; signing with theirs.",
              {{"destination", service_.name}, {"offset_ms", skew_.offset_ms()}});
  }
  return signed_wrong;
}

AwsReply AwsClient::judge(std::string_view operation, HttpResponse response) const {
  AwsReply reply;
  if (response.connection_failed &&
      response.error.find("Could not resolve host") != std::string::npos) {
    response.error += "; is there a network, and is the region '" + region_ + "' right?";
  }
  if (!response.complete()) {
    reply.failure = FailureClass::kTransient;
    reply.error = log::escaped(response.status == 0
                                   ? "no answer: " + response.error
                                   : "an answer with status " + std::to_string(response.status) +
                                         " is not whole: " + response.error);
  } else if (response.status < 200 || response.status > 299) {
    AwsError error =
        (service_.read_error == nullptr ? read_aws_error : service_.read_error)(response);
    reply.failure = error.failure;
    reply.error = error.text(response.status);
    reply.code = std::move(error.code);
    reply.message = std::move(error.message);
    reply.retry_after = wanted_wait(response, clock_.wall_ms());
    log::debug("An AWS service refused a call.",
               {{"service", service_.name},
                {"operation", operation},
                {"error", reply.error},
                {"request_id", std::string(response.header("x-amzn-requestid"))}});
  }
  reply.http = std::move(response);
  return reply;
}

void AwsClient::count(const AwsReply& reply, std::size_t body_bytes) {
  const char* result =
      reply.failure == FailureClass::kNone ? "ok" : exporter::failure_class_name(reply.failure);
  metrics_.counter(kRequestsTotal, {service_.name, result}).add();
  metrics_.counter(kSentBytesTotal, {service_.name}).add(body_bytes);
}

}  // namespace weir::destination
