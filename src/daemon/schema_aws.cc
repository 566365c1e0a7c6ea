#include "daemon/schema.h"
#include "daemon/schema_builder.h"
#include "destination/services.h"

namespace weir::daemon {

using build::checked;
using build::integer;
using build::of_kind;
using build::one_of;
using build::option;
using build::section;
using build::text;
using build::with_sample;
using build::within;
using destination::CredentialSource;
using destination::ExportOptions;

namespace {

constexpr std::int64_t kSessionSecondsMin = 900;
constexpr std::int64_t kSessionSecondsMax = 43'200;

std::string check_role_arn(const std::string& arn) {
  return arn.starts_with("arn:") && arn.find(":role/") != std::string::npos
             ? ""
             : "is not the ARN of a role, such as arn:aws:iam::123456789012:role/name";
}

Key flag_of(std::string name, std::string doc,
            std::optional<bool> destination::AwsOptions::*field) {
  return of_kind(Kind::kFlag, std::move(name), std::move(doc), "false",
                 [field](Target& t, const Value& v) { t.config.aws.*field = v.flag; });
}

Key credential_source() {
  static const std::pair<const char*, CredentialSource> kNames[] = {
      {"chain", CredentialSource::kChain},
      {"environment", CredentialSource::kEnvironment},
      {"web_identity", CredentialSource::kWebIdentity},
      {"profile", CredentialSource::kProfile},
      {"iot", CredentialSource::kIot},
      {"container", CredentialSource::kContainer},
      {"instance", CredentialSource::kInstance},
  };
  std::vector<std::string> names;
  for (const auto& [name, source] : kNames) names.emplace_back(name);
  return one_of(std::move(names),
                of_kind(Kind::kChoice, "credential_source",
                        "Where credentials come from: chain asks all the others in this order and "
                        "takes the first that has any. See docs/credentials.md.",
                        "chain", [](Target& t, const Value& v) {
                          for (const auto& [name, source] : kNames) {
                            if (v.text == name) t.config.aws.credential_source = source;
                          }
                        }));
}

std::vector<std::string> services_with_endpoints() {
  std::vector<std::string> names;
  for (const auto* service : {&destination::kKinesis, &destination::kFirehose, &destination::kS3,
                              &destination::kSitewise, &destination::kIotAnalytics}) {
    names.push_back(service->name);
  }
  names.emplace_back("sts");
  return names;
}

Key role_section() {
  return section(
      "role",
      "A role to assume (STS AssumeRole) with the credentials found, for all AWS exports that name "
      "none of their own.",
      {
          checked(check_role_arn,
                  text(
                      "role_arn", "The role.", "arn:aws:iam::123456789012:role/weir",
                      [](Config & c) -> auto& { return c.aws.role.role_arn; })),
          text(
              "external_id", "What the role's owner asks for, if anything.", "plant-7",
              [](Config & c) -> auto& { return c.aws.role.external_id; }),
          text(
              "session_name", "Name of the session, seen in the account's logs.", "",
              [](Config & c) -> auto& { return c.aws.role.session_name; }),
          integer(
              "duration_seconds", "How long one set of credentials lives.", kSessionSecondsMin,
              kSessionSecondsMax, [](Config & c) -> auto& { return c.aws.role.duration_seconds; }),
      });
}

Key iot_section() {
  return section(
      "iot_credentials",
      "Credentials for the certificate of a device, from the AWS IoT credentials provider.",
      {
          text(
              "endpoint",
              "Host that 'aws iot describe-endpoint --endpoint-type iot:CredentialProvider' names.",
              "abc123.credentials.iot.eu-central-1.amazonaws.com",
              [](Config & c) -> auto& { return c.aws.iot.endpoint; }),
          text(
              "role_alias", "Alias of the role in AWS IoT.", "weir-gateway",
              [](Config & c) -> auto& { return c.aws.iot.role_alias; }),
          text(
              "thing_name", "Name of the thing, for policies that look at it.", "gateway-7",
              [](Config & c) -> auto& { return c.aws.iot.thing_name; }),
          text(
              "certificate_file", "Certificate of the device (PEM).", "/etc/weir/device.pem",
              [](Config & c) -> auto& { return c.aws.iot.certificate_file; }),
          text(
              "private_key_file", "Its private key (PEM).", "/etc/weir/device.key",
              [](Config & c) -> auto& { return c.aws.iot.private_key_file; }),
          text(
              "ca_file", "Certificates to trust instead of ca_bundle_file or the system's (PEM).",
              "/etc/weir/amazon-root.pem", [](Config & c) -> auto& { return c.aws.iot.ca_file; }),
      });
}

}  // namespace

Key aws_section() {
  Key service_urls = of_kind(
      Kind::kTextMap, "service_endpoint_urls",
      "The same for single services; wins over endpoint_url.", "",
      [](Target& t, const Value& v) { t.config.aws.service_endpoint_urls[v.name] = v.text; });
  service_urls.choices = services_with_endpoints();
  service_urls.check = build::check_url;
  service_urls.sample = "{kinesis: \"http://127.0.0.1:4567\"}";
  return section(
      "aws",
      "How weir reaches AWS. Keys are never written here: they come from the environment, from "
      "files of the AWS tools, from the platform or from AWS IoT.",
      {
          text(
              "region",
              "Region of all AWS destinations; without it that of the profile, then that of the "
              "instance.",
              "eu-central-1", [](Config & c) -> auto& { return c.aws.region; }),
          checked(build::check_url,
                  text(
                      "endpoint_url", "Where to send requests instead of AWS's own addresses.",
                      "\"http://127.0.0.1:4566\"",
                      [](Config & c) -> auto& { return c.aws.endpoint_url; })),
          service_urls,
          text(
              "ca_bundle_file", "Certificates to trust instead of the system's (PEM).",
              "/etc/weir/aws-ca.pem", [](Config & c) -> auto& { return c.aws.ca_bundle_file; }),
          flag_of("use_fips", "Use the FIPS endpoints of AWS.", &destination::AwsOptions::use_fips),
          flag_of("use_dual_stack", "Use endpoints that have IPv6 addresses, too.",
                  &destination::AwsOptions::use_dual_stack),
          credential_source(),
          text(
              "profile",
              "Profile of the shared files; named here, keys in the environment do not count.",
              "edge", [](Config & c) -> auto& { return c.aws.profile; }),
          role_section(),
          iot_section(),
      });
}

Key aws_access_options() {
  const auto role_text = [](std::string name, std::string doc, std::string sample,
                            std::string destination::AssumedRole::*field) {
    return with_sample(std::move(sample), option(Kind::kText, std::move(name), std::move(doc), "",
                                                 [field](ExportOptions& o, const Value& v) {
                                                   o.aws.role.*field = v.text;
                                                 }));
  };
  return section(
      "aws", "Another account or region for this export.",
      {
          checked(check_role_arn,
                  role_text("role_arn", "Role to assume with weir's own credentials.",
                            "arn:aws:iam::123456789012:role/weir",
                            &destination::AssumedRole::role_arn)),
          role_text("external_id", "What the role's owner asks for, if anything.", "plant-7",
                    &destination::AssumedRole::external_id),
          role_text("session_name", "Name of the session, seen in the account's logs.", "weir",
                    &destination::AssumedRole::session_name),
          within(
              kSessionSecondsMin, kSessionSecondsMax,
              option(Kind::kInteger, "duration_seconds", "How long one set of credentials lives.",
                     std::to_string(destination::AssumedRole{}.duration_seconds),
                     [](ExportOptions& o, const Value& v) {
                       o.aws.role.duration_seconds = v.integer;
                     })),
          with_sample("us-east-1",
                      option(Kind::kText, "region", "Region instead of export.aws.region.", "",
                             [](ExportOptions& o, const Value& v) { o.aws.region = v.text; })),
      });
}

}  // namespace weir::daemon
