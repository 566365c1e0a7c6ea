// Exports that go elsewhere, exports that programs do not see, accounts of others, sources of keys.

#include "daemon/config.h"
#include "daemon/status_board.h"
#include "daemon/wiring.h"

#include <gtest/gtest.h>

namespace weir::daemon {
namespace {

using model::ExportType;

Config good(const std::string& yaml, const std::map<std::string, std::string>& environment = {}) {
  ConfigSources rest;
  rest.environment = environment;
  auto loaded = parse_config(yaml, "weir.yaml", rest);
  for (const auto& problem : loaded.problems) ADD_FAILURE() << problem.text();
  return std::move(loaded.config);
}

std::string problems(const std::string& yaml,
                     const std::map<std::string, std::string>& environment = {}) {
  ConfigSources rest;
  rest.environment = environment;
  std::string all;
  for (const auto& problem : parse_config(yaml, "weir.yaml", rest).problems) {
    all += problem.text() + "\n";
  }
  return all;
}

exporter::ExportSpec spec(const std::string& stream, ExportType type, const std::string& identifier,
                          const std::string& target) {
  exporter::ExportSpec made;
  made.stream_name = stream;
  made.config.type = type;
  made.config.identifier = identifier;
  made.config.target = target;
  return made;
}

constexpr const char* kRedirects = R"(
redirects:
  - match: {stream: "pumps-*", type: iot_analytics}
    to: {type: kinesis, stream: telemetry, kinesis: {partition_key: stream}, aws: {role_arn: "arn:aws:iam::2:role/other", region: us-east-1}}
  - match: {identifier: "out-?", target: "http*"}
    to: {type: file, directory: /var/lib/out, file: {format: length}}
  - match: {type: kinesis, target: old}
    to: {type: http, uri: "http://127.0.0.1:9/in", format: json}
)";

TEST(Redirects, TheFirstThatMatchesCountsAndBringsItsOptions) {
  const Config config = good(kRedirects);
  auto options = config.options_for(spec("pumps-1", ExportType::kIotAnalytics, "a", "channel"));
  ASSERT_TRUE(options.redirect);
  EXPECT_EQ(options.redirect->type, ExportType::kKinesis);
  EXPECT_EQ(options.redirect->target, "telemetry");
  EXPECT_EQ(options.kinesis.partition_key.kind, destination::PartitionKey::Kind::kStream);
  EXPECT_EQ(options.aws.role.role_arn, "arn:aws:iam::2:role/other");
  EXPECT_EQ(options.aws.region, "us-east-1");

  options = config.options_for(spec("x", ExportType::kHttp, "out-7", "https://a.example/"));
  ASSERT_TRUE(options.redirect);
  EXPECT_EQ(options.redirect->type, ExportType::kFile);
  EXPECT_EQ(options.file.directory, "/var/lib/out");
  EXPECT_EQ(options.file.format, destination::FileOptions::Format::kLength);

  options = config.options_for(spec("x", ExportType::kKinesis, "k", "old"));
  ASSERT_TRUE(options.redirect);
  EXPECT_EQ(options.redirect->export_format, model::ExportFormat::kJsonBatched);

  EXPECT_FALSE(config.options_for(spec("fans-1", ExportType::kIotAnalytics, "a", "c")).redirect);
  EXPECT_FALSE(config.options_for(spec("x", ExportType::kHttp, "out-77", "http://a/")).redirect);
  EXPECT_FALSE(config.options_for(spec("x", ExportType::kKinesis, "k", "new")).redirect);
}

TEST(Redirects, WhatRunsAndWhatProgramsSeeStaysAsDefined) {
  const Config config = good(kRedirects);
  model::StreamDefinition definition;
  definition.name = "pumps-1";
  definition.exports = {spec("", ExportType::kIotAnalytics, "a", "channel").config};
  const auto wanted = wanted_exports(config, definition);
  ASSERT_EQ(wanted.size(), 1U);
  EXPECT_EQ(wanted[0].config, definition.exports[0]);
}

TEST(Redirects, MistakesAreReportedWhereTheyAre) {
  EXPECT_NE(problems("redirects:\n  - match: {stream: a}\n").find("redirects[0] has no 'to'"),
            std::string::npos);
  EXPECT_NE(problems("redirects:\n  - match: {}\n    to: {type: kinesis}\n")
                .find("redirects[0].to has no 'stream', which kinesis exports need"),
            std::string::npos);
  const std::string wrong = problems(
      "redirects:\n  - match: {}\n    to: {type: kinesis, stream: a, uri: \"http://b/\"}\n");
  EXPECT_NE(wrong.find("weir.yaml:3:36: redirects[0].to: 'uri' is a key of http exports"),
            std::string::npos)
      << wrong;
  EXPECT_NE(problems("redirects:\n  - match: {strem: a}\n    to: {type: kinesis, stream: a}\n")
                .find("did you mean 'stream'"),
            std::string::npos);
}

TEST(Redirects, ATypeThatNoExportHasIsAMistake) {
  const auto of_type = [](const std::string& type) {
    return problems("redirects:\n  - match: {type: " + type +
                    "}\n    to: {type: http, uri: \"http://b/\"}\n");
  };
  for (const char* good : {"http", "iot_analytics", "kinesis", "iot_sitewise", "s3_task_executor",
                           "firehose", "file", "iot_*", "'*'", "'kines?s'"}) {
    EXPECT_EQ(of_type(good), "") << good;
  }
  for (const std::string bad : {"iotAnalytics", "iot_analyticz", "s3", "mqtt"}) {
    EXPECT_NE(of_type(bad).find("weir.yaml:2:19: redirects[0].match.type: '" + bad +
                                "' is not one of http, iot_analytics, kinesis"),
              std::string::npos)
        << of_type(bad);
  }
}

constexpr const char* kAdditions = R"(
additions:
  - on_streams: "pumps-*"
    type: file
    identifier: archive
    directory: /var/lib/archive
    file: {compression: zstd}
  - type: kinesis
    identifier: cloud
    stream: telemetry
    batch_interval_ms: 5000
    aws: {role_arn: "arn:aws:iam::2:role/other"}
)";

TEST(Additions, ArePutOnStreamsThatProgramsOwnAndNeverShownToThem) {
  const Config config = good(kAdditions);
  model::StreamDefinition definition;
  definition.name = "pumps-1";
  definition.exports = {spec("", ExportType::kHttp, "mine", "http://a/").config};
  auto wanted = wanted_exports(config, definition);
  ASSERT_EQ(wanted.size(), 3U);
  EXPECT_TRUE(wanted[0].on_wire);
  EXPECT_EQ(wanted[1].config.identifier, "archive");
  EXPECT_FALSE(wanted[1].on_wire);
  EXPECT_EQ(wanted[2].config.batch_interval_ms, 5000) << "not below a minute for clients only";
  EXPECT_FALSE(wanted[2].on_wire);
  definition.name = "fans";
  EXPECT_EQ(wanted_exports(config, definition).size(), 2U);

  const auto options = config.options_for(spec("pumps-1", ExportType::kFile, "archive", "/x"));
  EXPECT_EQ(options.file.compression, destination::Compression::kZstd);
  EXPECT_EQ(options.file.directory, "/var/lib/archive");
  EXPECT_EQ(
      config.options_for(spec("x", ExportType::kKinesis, "cloud", "telemetry")).aws.role.role_arn,
      "arn:aws:iam::2:role/other");
}

TEST(Additions, AnIdentifierThatTheStreamHasLeavesItsOwnExportAlone) {
  const Config config = good(kAdditions);
  model::StreamDefinition definition;
  definition.name = "pumps-1";
  definition.exports = {spec("", ExportType::kHttp, "cloud", "http://a/").config};
  const auto wanted = wanted_exports(config, definition);
  ASSERT_EQ(wanted.size(), 2U);
  EXPECT_EQ(wanted[0].config.type, ExportType::kHttp);
  EXPECT_EQ(wanted[1].config.identifier, "archive");
  EXPECT_EQ(config.options_for(spec("pumps-1", ExportType::kHttp, "cloud", "http://a/"))
                .aws.role.role_arn,
            "")
      << "options of the addition are for the addition only";
}

TEST(AwsSettings, RolesSourcesAndVariantsAreRead) {
  const Config config = good(R"(
export:
  aws:
    profile: edge
    credential_source: profile
    use_fips: true
    role: {role_arn: "arn:aws:iam::1:role/a", external_id: e, session_name: gw, duration_seconds: 900}
    iot_credentials: {endpoint: x.example, role_alias: r, certificate_file: /c, private_key_file: /k}
)",
                             {{"AWS_USE_DUALSTACK_ENDPOINT", "True"},
                              {"AWS_PROFILE", "other"},
                              {"HOME", "/var/lib/weir"},
                              {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:1/"},
                              {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "t"},
                              {"UNRELATED", "x"}});
  EXPECT_EQ(config.aws.profile, "edge");
  EXPECT_EQ(config.aws.credential_source, destination::CredentialSource::kProfile);
  EXPECT_EQ(config.aws.use_fips, true);
  EXPECT_EQ(config.aws.use_dual_stack, true);
  EXPECT_EQ(config.aws.role.role_arn, "arn:aws:iam::1:role/a");
  EXPECT_EQ(config.aws.role.duration_seconds, 900);
  EXPECT_EQ(config.aws.iot.role_alias, "r");
  EXPECT_EQ(config.aws.environment.at("AWS_PROFILE"), "other");
  EXPECT_EQ(config.aws.environment.at("AWS_CONTAINER_CREDENTIALS_FULL_URI"), "http://localhost:1/");
  EXPECT_EQ(config.aws.environment.at("AWS_CONTAINER_AUTHORIZATION_TOKEN"), "t");
  EXPECT_FALSE(config.aws.environment.contains("UNRELATED"));
  EXPECT_NE(problems("export: {aws: {role: {role_arn: x}}}").find("is not the ARN of a role"),
            std::string::npos);
  EXPECT_NE(problems("", {{"AWS_USE_FIPS_ENDPOINT", "maybe"}}).find("AWS_USE_FIPS_ENDPOINT"),
            std::string::npos);
}

TEST(AwsSettings, EndpointVariablesCanBeIgnored) {
  const std::map<std::string, std::string> environment = {
      {"AWS_ENDPOINT_URL", "http://127.0.0.1:1"},
      {"AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:2"},
      {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}};
  const Config config = good("export: {aws: {endpoint_url: \"http://127.0.0.1:3\"}}", environment);
  EXPECT_EQ(config.aws.endpoint_url, "http://127.0.0.1:3");
  EXPECT_TRUE(config.aws.service_endpoint_urls.empty());
}

TEST(Status, SaysWhereCredentialsComeFromAndWhereExportsReallyGo) {
  const Config config = good(kRedirects);
  ProcessStatus process;
  process.wall_ms = 1'000'000;
  process.config = &config;
  destination::CredentialsView own;
  own.source = "container endpoint http://localhost:1441";
  own.have = true;
  own.expires_ms = 1'600'000;
  destination::CredentialsView unused;
  unused.role = "arn:aws:iam::1:role/unused";
  process.credentials = {own, unused};
  const std::string text = status_json(process, {}, {});
  EXPECT_NE(text.find(R"("source":"container endpoint http://localhost:1441")"), std::string::npos);
  EXPECT_NE(text.find(R"("expires_in_ms":600000)"), std::string::npos);
  EXPECT_EQ(text.find("unused"), std::string::npos);
}

}  // namespace
}  // namespace weir::daemon
