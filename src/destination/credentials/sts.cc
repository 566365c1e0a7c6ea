#include "destination/credentials/sts.h"

#include "base/log.h"
#include "destination/aws_client.h"
#include "destination/aws_error.h"
#include "destination/credentials/answer.h"
#include "destination/percent.h"
#include "destination/sigv4.h"
#include "destination/url.h"

#include <algorithm>

namespace weir::destination::credentials {
namespace {

using exporter::FailureClass;

const AwsService kSts = {"sts", "sts", "sts"};

FailureClass class_of(const std::string& code, int status) {
  // destinations.md §21.5: what the token itself is blamed for is for a person to fix.
  if (code == "InvalidIdentityToken" || code == "IDPRejectedClaim") return FailureClass::kOperator;
  const FailureClass by_code = classify_aws_code(code, {});
  return by_code != FailureClass::kNone ? by_code : classify_status(status);
}

StsAnswer read_answer(HttpResponse response) {
  StsAnswer answer;
  if (!response.complete()) {
    answer.failure = FailureClass::kTransient;
    answer.error = log::escaped(response.error);
    return answer;
  }
  if (response.status < 200 || response.status > 299) {
    answer.code = xml_text(response.body, "Code");
    answer.failure = class_of(answer.code, response.status);
    answer.error = log::escaped(
        answer.code.empty() ? "HTTP " + std::to_string(response.status) : answer.code, 96);
    const std::string message = xml_text(response.body, "Message");
    if (!message.empty()) answer.error += ": " + log::escaped(message);
    return answer;
  }
  answer.credentials.access_key_id = xml_text(response.body, "AccessKeyId");
  answer.credentials.secret_access_key = xml_text(response.body, "SecretAccessKey");
  answer.credentials.session_token = xml_text(response.body, "SessionToken");
  const auto expires_ms = parse_iso_time(xml_text(response.body, "Expiration"));
  wipe(response.body);
  answer.credentials.expires_ms = expires_ms.value_or(0);
  if (answer.credentials.access_key_id.empty() || answer.credentials.secret_access_key.empty() ||
      answer.credentials.session_token.empty() || !expires_ms ||
      !why_unusable(answer.credentials).empty()) {
    answer.failure = FailureClass::kTransient;
    answer.error = "the answer has no complete credentials";
  }
  return answer;
}

StsAnswer operator_error(std::string text) {
  StsAnswer answer;
  answer.failure = FailureClass::kOperator;
  answer.error = std::move(text);
  return answer;
}

}  // namespace

StsAnswer Sts::assume(const AssumedRole& role, const Credentials& signer,
                      const std::stop_token& stop) {
  Parameters parameters = {{"Action", "AssumeRole"},
                           {"Version", "2011-06-15"},
                           {"RoleArn", role.role_arn},
                           {"RoleSessionName", role.session_name},
                           {"DurationSeconds", std::to_string(role.duration_seconds)}};
  if (!role.external_id.empty()) parameters.emplace_back("ExternalId", role.external_id);
  return call(parameters, &signer, stop);
}

StsAnswer Sts::assume_with_token(const AssumedRole& role, const std::string& token,
                                 const std::stop_token& stop) {
  return call({{"Action", "AssumeRoleWithWebIdentity"},
               {"Version", "2011-06-15"},
               {"RoleArn", role.role_arn},
               {"RoleSessionName", role.session_name},
               {"DurationSeconds", std::to_string(role.duration_seconds)},
               {"WebIdentityToken", token}},
              nullptr, stop);
}

StsAnswer Sts::call(const Parameters& parameters, const Credentials* signer,
                    const std::stop_token& stop) {
  std::string region = context_->aws.region;
  if (region.empty()) {
    auto found = instance_region(*context_, stop);
    if (!found) return operator_error("no AWS region; set AWS_REGION");
    region = *found;
  }
  std::string body;
  for (const auto& [name, value] : parameters) {
    if (!body.empty()) body += '&';
    body += name + '=';
    body += percent_encoded(value, false);
  }
  HttpResponse response = send(body, region, signer, stop);
  StsAnswer answer = read_answer(std::move(response));
  if (answer.failure == FailureClass::kClock && signed_wrong_ && !stop.stop_requested()) {
    answer = read_answer(send(body, region, signer, stop));
  }
  // Neither a wrong clock explains it nor is it the age of the keys: they are wrong.
  if (answer.failure == FailureClass::kClock) answer.failure = FailureClass::kCredentials;
  wipe(body);
  return answer;
}

HttpResponse Sts::send(const std::string& body, const std::string& region,
                       const Credentials* signer, const std::stop_token& stop) {
  AwsOptions aws = context_->aws;
  aws.region = region;
  const auto endpoint = aws_endpoint(aws, kSts);
  if (!endpoint) {
    HttpResponse response;
    response.error = endpoint.error().what;
    return response;
  }
  if (!transport_) {
    Link link;
    link.ca_file = aws.ca_bundle_file;
    transport_ = context_->connect(link);
  }
  HttpRequest request;
  request.url = endpoint->text();
  request.body = as_bytes(body);
  request.headers = {{"Host", endpoint->authority()},
                     {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                     {"User-Agent", "weir/" WEIR_VERSION}};
  const Instant sent_at = context_->clock->now();
  const std::int64_t sent_wall_ms = context_->clock->wall_ms();
  if (signer != nullptr) {
    const std::string payload_hash = sha256_hex(request.body);
    SigningInput input;
    input.method = request.method;
    input.path = endpoint->path;
    input.query = endpoint->query;
    input.headers = &request.headers;
    input.payload_hash = payload_hash;
    SigV4Signer sign(region, kSts.signing_name);
    auto added = sign.sign(input, *signer, skew_.wall_ms(*context_->clock));
    for (HttpHeader& header : added) request.headers.push_back(std::move(header));
  }
  HttpResponse response = transport_->send(request, stop);
  signed_wrong_ = skew_.learn(response, sent_at, sent_wall_ms, *context_->clock);
  return response;
}

Result<Fetched> fetched_from(StsAnswer answer, const std::string& what) {
  switch (answer.failure) {
    case FailureClass::kNone: {
      Fetched fetched;
      fetched.credentials = std::move(answer.credentials);
      fetched.source = what;
      return fetched;
    }
    case FailureClass::kTransient:
    case FailureClass::kThrottle:
      return fail(Errc::kUnavailable, what + ": the AWS token service (STS): " + answer.error);
    case FailureClass::kCredentials:
    case FailureClass::kClock:
    case FailureClass::kOperator:
    case FailureClass::kPoison:
    case FailureClass::kBug:
      break;
  }
  return fail(Errc::kInvalidArgument,
              what + ": the AWS token service (STS) refuses: " + answer.error);
}

std::string role_problem(const AssumedRole& role) {
  if (!role.role_arn.starts_with("arn:") || role.role_arn.size() < 20 ||
      role.role_arn.size() > 2048 || role.role_arn.find(":role/") == std::string::npos) {
    return "'" + log::escaped(role.role_arn, 128) +
           "' is not the ARN of a role, such as arn:aws:iam::123456789012:role/name";
  }
  const bool named =
      role.session_name.size() >= 2 && role.session_name.size() <= 64 &&
      std::all_of(role.session_name.begin(), role.session_name.end(), [](char c) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        return plain || std::string_view("-_.+=,@").find(c) != std::string_view::npos;
      });
  if (!named) {
    return "the session name '" + log::escaped(role.session_name, 80) +
           "' is not 2 to 64 letters, digits or +=,.@_-";
  }
  if (role.duration_seconds < 900 || role.duration_seconds > 43'200) {
    return "the duration of " + std::to_string(role.duration_seconds) +
           " s is not between 900 and 43200";
  }
  return {};
}

}  // namespace weir::destination::credentials
