// Connectors in the configuration: names old and new, patterns, ranges, and what does not go
// together.

#include "connector/options.h"
#include "daemon/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::daemon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kArn = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/machines";

LoadedConfig parse(const std::string& lines) {
  return parse_config("connectors:\n  - type: firehose\n    broker: mqtt://127.0.0.1\n" + lines,
                      "weir.yaml");
}
std::string with_arn(const std::string& lines) {
  return "    DefaultDeliveryStreamArn: " + kArn + "\n" + lines;
}
connector::Options good(const std::string& lines) {
  const auto loaded = parse(with_arn(lines));
  for (const auto& each : loaded.problems) ADD_FAILURE() << lines << each.text();
  return loaded.config.connectors.at(0).options;
}
std::string problem(const std::string& lines) {
  const auto loaded = parse(lines);
  std::string all;
  for (const auto& each : loaded.problems) all += each.text() + "\n";
  EXPECT_EQ(loaded.problems.size(), 1U) << lines << all;
  return all;
}

TEST(ConnectorConfig, defaults_are_those_of_the_v2_component) {
  const auto options = good("");
  EXPECT_EQ(options.name, "firehose");
  EXPECT_EQ(options.version, 5);
  EXPECT_EQ(options.queue_records_max, 5'000);
  EXPECT_EQ(options.publish_interval_s, 10);
  EXPECT_EQ(options.order, connector::QueueOrder::kTail);
  EXPECT_EQ(options.default_target.text(), kArn);
  EXPECT_EQ(options.message_topic, "kinesisfirehose/message");
  EXPECT_EQ(options.binary_filter, "kinesisfirehose/message/binary/#");
  EXPECT_EQ(options.status_topic, "kinesisfirehose/message/status");
  EXPECT_EQ(options.broker.version, mqtt::Version::k5);
  EXPECT_TRUE(options.broker.client_id.starts_with("weir-firehose-"));
  EXPECT_FALSE(options.memory_only);
}

TEST(ConnectorConfig, settings_have_the_names_of_v1_of_v2_and_readable_ones) {
  for (const char* names : {"DeliveryStreamQueueSize: \"2000\"\n    PublishInterval: \"900\"",
                            "DELIVERY_STREAM_QUEUE_SIZE: 2000\n    PUBLISH_INTERVAL: 900",
                            "queue_records_max: 2000\n    publish_interval_s: 900"}) {
    const auto options = good("    " + std::string(names) + "\n");
    EXPECT_EQ(options.queue_records_max, 2'000);
    EXPECT_EQ(options.publish_interval_s, 900);
  }
  for (const char* name :
       {"DefaultDeliveryStreamArn", "DEFAULT_DELIVERY_STREAM_ARN", "default_delivery_stream_arn"}) {
    const auto loaded = parse("    " + std::string(name) + ": " + kArn + "\n");
    EXPECT_TRUE(loaded.problems.empty()) << name;
  }
  good("    MemorySize: \"65535\"\n    IsolationMode: NoContainer\n");
}

TEST(ConnectorConfig, two_names_may_say_the_same_but_not_something_else) {
  good("    default_delivery_stream_arn: " + kArn +
       "\n    PublishInterval: 7\n    PUBLISH_INTERVAL: \"7\"\n");
  EXPECT_THAT(
      problem(with_arn("    PublishInterval: 7\n    publish_interval_s: 8\n")),
      HasSubstr("weir.yaml:6:5: connectors[0].publish_interval_s: publish_interval_s is another "
                "name of PublishInterval, which is 7 here"));
}

TEST(ConnectorConfig, brokers_are_addresses_with_or_without_a_port) {
  struct Case {
    const char* url;
    const char* host;
    int port;
    bool tls;
  };
  for (const auto& [url, host, port, tls] :
       {Case{"mqtt://broker.local", "broker.local", 1883, false},
        Case{"mqtts://broker.local/", "broker.local", 8883, true},
        Case{"mqtt://10.0.0.1:18830", "10.0.0.1", 18830, false},
        Case{"mqtts://[::1]:8884", "::1", 8884, true},
        Case{"mqtt://[fe80::1]", "fe80::1", 1883, false}}) {
    const auto loaded = parse_config("connectors:\n  - type: firehose\n    broker: \"" +
                                         std::string(url) + "\"\n" + with_arn(""),
                                     "weir.yaml");
    ASSERT_TRUE(loaded.problems.empty()) << url << loaded.problems[0].text();
    const auto& broker = loaded.config.connectors[0].options.broker;
    EXPECT_EQ(broker.host, host);
    EXPECT_EQ(broker.port, port);
    EXPECT_EQ(broker.tls, tls);
  }
  for (const char* url :
       {"broker.local", "http://x", "mqtt://", "mqtt://:1883", "mqtt://x:0", "mqtt://x:70000",
        "mqtt://x:", "mqtt://user@x", "mqtt://x/path", "mqtt://[::1", "mqtt://[::1]x"}) {
    const auto loaded = parse_config("connectors:\n  - type: firehose\n    broker: \"" +
                                         std::string(url) + "\"\n" + with_arn(""),
                                     "weir.yaml");
    ASSERT_EQ(loaded.problems.size(), 1U) << url;
    EXPECT_THAT(loaded.problems[0].text(), HasSubstr("is not the address of a broker"));
  }
}

struct Wrong {
  std::string lines;
  std::string says;
};

class WrongConnector : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongConnector, is_refused_with_its_place_and_the_fix) {
  EXPECT_THAT(problem(GetParam().lines), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Connectors, WrongConnector,
    ::testing::Values(
        Wrong{"    name: x\n", "weir.yaml:2:5: connectors[0] has no default_delivery_stream_arn"},
        Wrong{"    DefaultDeliveryStreamArn: arn:aws:s3:::x\n", "weir.yaml:4:31: "},
        Wrong{with_arn("    DeliveryStreamQueueSize: \"1999\"\n"), "allowed are 2000 to"},
        Wrong{with_arn("    DELIVERY_STREAM_QUEUE_SIZE: 5 thousand\n"), "is not a whole number"},
        Wrong{with_arn("    PublishInterval: \"901\"\n"), "allowed are 0 to 900"},
        Wrong{with_arn("    PublishInterval: -1\n"), "allowed are 0 to 900"},
        Wrong{with_arn("    MemorySize: 64MB\n"), "is not a number of kilobytes"},
        Wrong{with_arn("    IsolationMode: Container\n"), "is not one of NoContainer"},
        Wrong{with_arn("    PublishIntervall: 7\n"), "did you mean 'publish_interval_s'?"},
        Wrong{with_arn("    version: 6\n"), "allowed are 1 to 5"},
        Wrong{with_arn("    version: 1\n    PublishInterval: 7\n"), "version 1 knows no interval"},
        Wrong{with_arn("    mqtt_version: 4\n"), "is not one of 5, 3.1.1"},
        Wrong{with_arn("    name: a.b\n"), "is not a name of 1 to 32"},
        Wrong{with_arn("    ca_file: /ca.pem\n"), "write mqtts://"},
        Wrong{with_arn("    password_file: /p\n"), "a password needs a user"},
        Wrong{with_arn("    message_topic: a/+/b\n"), "must not contain + or #"},
        Wrong{with_arn("    binary_topic: a/b\n"), "must end in /#"},
        Wrong{with_arn("    status_topic: kinesisfirehose/message\n"), "its own answers"},
        Wrong{with_arn("    status_topic: kinesisfirehose/message/binary/s\n"), "its own answers"},
        Wrong{with_arn("    binary_topic: kinesisfirehose/#\n    status_topic: s\n"),
              "arrive twice"},
        Wrong{with_arn("    queue_bytes_max: 1024\n"), "allowed are 2097152 to"}));

std::string second(const std::string& lines) {
  return with_arn(
      "  - type: firehose\n    broker: mqtt://127.0.0.1:1883\n    default_delivery_stream_arn: " +
      kArn + "\n" + lines);
}

TEST(ConnectorConfig, several_need_names_and_topics_of_their_own) {
  EXPECT_TRUE(parse(second("    name: other\n    message_topic: o/in\n    binary_topic: o/raw/#\n"
                           "    status_topic: o/out\n"))
                  .problems.empty());
  EXPECT_THAT(problem(second("    name: other\n")), HasSubstr("overlap"));
  EXPECT_THAT(problem(second("    name: other\n    message_topic: o/in\n    binary_topic: "
                             "kinesisfirehose/message/binary/more/#\n")),
              HasSubstr("overlap"));
  const std::string without_broker = with_arn(
      "  - type: firehose\n    name: other\n    default_delivery_stream_arn: " + kArn + "\n");
  EXPECT_THAT(problem(without_broker), HasSubstr("has no 'broker'"));
  EXPECT_THAT(problem(without_broker), Not(HasSubstr("overlap")))
      << "nobody knows where it listens";
  EXPECT_THAT(problem(second("    message_topic: o/in\n    binary_topic: o/raw/#\n")),
              HasSubstr("has the name 'firehose' already"));
}

}  // namespace
}  // namespace weir::daemon
