#include "daemon/value_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace weir::daemon {
namespace {

using ::testing::HasSubstr;

std::string problems(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  ConfigSources rest;
  rest.environment = std::move(environment);
  std::string all;
  for (const auto& problem : parse_config(yaml, "weir.yaml", rest).problems) {
    all += problem.text() + "\n";
  }
  return all;
}

std::string of_aws(const std::string& yaml) { return problems("export:\n  aws: " + yaml + "\n"); }

TEST(ValueChecks, a_service_that_weir_does_not_call_has_no_endpoint) {
  EXPECT_EQ(of_aws("{service_endpoint_urls: {kinesis: 'http://h:1', s3: 'http://h:1', "
                   "firehose: 'http://h:1', iotsitewise: 'http://h:1', "
                   "iotanalytics: 'http://h:1', sts: 'http://h:1'}}"),
            "");
  for (const std::string bad : {"kinesys", "Kinesis", "iot_sitewise"}) {
    EXPECT_THAT(of_aws("{service_endpoint_urls: {" + bad + ": 'http://h:1'}}"),
                HasSubstr("weir.yaml:2:33: export.aws.service_endpoint_urls: '" + bad +
                          "' is not one of kinesis, firehose, s3, iotsitewise, iotanalytics, sts"));
  }
  EXPECT_EQ(problems("", {{"AWS_ENDPOINT_URL_DYNAMODB", "http://h:1"}}), "")
      << "variables are for other programs as well";
}

TEST(ValueChecks, a_region_is_a_name) {
  EXPECT_EQ(of_aws("{region: eu-central-1}"), "");
  EXPECT_THAT(of_aws("{region: EU Central}"),
              HasSubstr("weir.yaml:2:17: export.aws.region: 'EU Central' is not the name of a "
                        "region, such as eu-central-1"));
  EXPECT_THAT(problems("export: {options: [{aws: {region: eu_1}}]}"),
              HasSubstr("export.options[0].aws.region: 'eu_1' is not the name of a region"));
  EXPECT_EQ(problems("", {{"AWS_REGION", "EU Central"}}), "")
      << "only exports to AWS need it, and say so";
}

TEST(ValueChecks, a_role_is_whole) {
  const std::string arn = "role_arn: 'arn:aws:iam::123456789012:role/x'";
  EXPECT_EQ(of_aws("{role: {" + arn + ", session_name: plant-7}}"), "");
  EXPECT_THAT(of_aws("{role: {" + arn + ", session_name: a b}}"),
              HasSubstr("export.aws.role.session_name: the session name 'a b' is not"));
  EXPECT_THAT(of_aws("{role: {external_id: x}}"),
              HasSubstr("weir.yaml:2:29: export.aws.role has no 'role_arn'"));
}

TEST(ValueChecks, credentials_of_aws_iot_need_four_values) {
  EXPECT_EQ(of_aws("{iot_credentials: {endpoint: a.example, role_alias: b, certificate_file: /c, "
                   "private_key_file: /d}}"),
            "");
  EXPECT_THAT(of_aws("{iot_credentials: {endpoint: a.example, role_alias: b, "
                     "certificate_file: /c}}"),
              HasSubstr("export.aws.iot_credentials has no 'private_key_file'"));
  EXPECT_THAT(of_aws("{credential_source: iot}"),
              HasSubstr("export.aws.iot_credentials has no 'endpoint'"));
}

TEST(ValueChecks, an_endpoint_and_a_kind_of_endpoint_exclude_each_other) {
  EXPECT_THAT(of_aws("{use_fips: true, endpoint_url: 'http://h:1'}"),
              HasSubstr("weir.yaml:2:19: export.aws.use_fips chooses among the endpoints of AWS, "
                        "but export.aws.endpoint_url names another"));
  EXPECT_THAT(of_aws("{use_dual_stack: true, service_endpoint_urls: {s3: 'http://h:1'}}"),
              HasSubstr("but export.aws.service_endpoint_urls names another"));
  EXPECT_EQ(of_aws("{use_fips: false, endpoint_url: 'http://h:1'}"), "");
}

TEST(ValueChecks, a_target_that_can_never_be_reached_is_refused) {
  const std::map<std::string, std::string> wrong = {
      {"{type: kinesis, stream: bad name}", "'bad name' is not the name of a data stream"},
      {"{type: firehose, delivery_stream: a/b}", "'a/b' is not the name of a Firehose stream"},
      {"{type: iot_analytics, channel: a-b}", "'a-b' is not the name of a channel"},
      {"{type: http, uri: nonsense}", "does not start with http:// or https://"},
      {"{type: http, uri: 'http://127.0.0.1:8088/'}", "weir"},
  };
  for (const auto& [to, why] : wrong) {
    const std::string text = problems("redirects:\n- match: {stream: a}\n  to: " + to + "\n");
    EXPECT_THAT(text, HasSubstr("redirects[0].to: "));
    EXPECT_THAT(text, HasSubstr(why));
  }
  EXPECT_THAT(problems("additions: [{type: kinesis, identifier: a, stream: bad name}]"),
              HasSubstr("additions[0]: "));
  EXPECT_THAT(problems("streams: [{name: s, exports: [{type: http, identifier: a, uri: x}]}]"),
              HasSubstr("streams[0].exports[0]: "));
}

}  // namespace
}  // namespace weir::daemon
