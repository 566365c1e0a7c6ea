#include "greengrass/requests.h"

#include "greengrass/telemetry.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::greengrass {
namespace {

using nlohmann::json;

Answer ok(std::string payload) { return {Answer::Kind::kOk, std::move(payload), {}}; }
Answer refused(std::string error, std::string text = "words") {
  return {Answer::Kind::kRefused, std::move(text), std::move(error)};
}
const Answer kUnanswered{Answer::Kind::kUnanswered, "gone", {}};

TEST(Tokens, only_one_line_of_text_is_a_token) {
  EXPECT_TRUE(is_plausible_token("ABCDEFGHIJKLMNOP"));
  EXPECT_TRUE(is_plausible_token("3q2+7w/ZkE=="));
  EXPECT_TRUE(is_plausible_token(std::string(4096, 'x')));
  EXPECT_FALSE(is_plausible_token(""));
  EXPECT_FALSE(is_plausible_token(std::string(4097, 'x')));
  EXPECT_FALSE(is_plausible_token("two\nlines"));
  EXPECT_FALSE(is_plausible_token("\xff"));
  EXPECT_EQ(json::parse(validate_token_request("a\"b\\c")), (json{{"token", "a\"b\\c"}}));
}

TEST(Tokens, only_a_clear_yes_lets_a_client_in) {
  EXPECT_EQ(token_verdict(ok(R"({"isValid":true})")).first, TokenVerdict::kGood);
  EXPECT_EQ(token_verdict(ok(R"({"isValid":false})")).first, TokenVerdict::kBad);
  EXPECT_EQ(token_verdict(refused("InvalidTokenError")).first, TokenVerdict::kBad);
  for (const char* odd : {"", "{}", "[]", "true", R"({"isValid":1})", R"({"isValid":"true"})",
                          R"({"isvalid":true})", R"([{"isValid":true}])", R"({"isValid":true)"}) {
    EXPECT_EQ(token_verdict(ok(odd)).first, TokenVerdict::kUnchecked) << odd;
  }
  EXPECT_EQ(token_verdict(refused("ServiceError")).first, TokenVerdict::kUnchecked);
  EXPECT_EQ(token_verdict(kUnanswered).first, TokenVerdict::kUnchecked);
  EXPECT_EQ(token_verdict(refused("UnauthorizedError")).first, TokenVerdict::kNotOurs);
}

TEST(Ports, are_written_as_both_nuclei_take_them) {
  const std::string text = set_port_request(41'234, 1'767'312'000'000);
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed["keyPath"], json::array());
  EXPECT_EQ(parsed["valueToMerge"], (json{{"port", 41'234}}));
  EXPECT_TRUE(parsed["timestamp"].is_number_float());
  EXPECT_NE(text.find("1767312000.0"), std::string::npos) << text;
  EXPECT_EQ(json::parse(set_port_request(1, 1'767'312'000'123))["timestamp"], 1767312000.123);
}

TEST(Ports, are_read_in_whatever_form_they_come) {
  for (const char* form :
       {R"({"componentName":"c","value":{"port":8088}})", R"({"value":{"port":8088.0}})",
        R"({"value":{"port":"8088"}})", R"({"value":{"port":"8088.0"}})", R"({"value":8088})"}) {
    EXPECT_EQ(port_of(ok(form)), 8088) << form;
  }
  for (const char* none :
       {"", "{}", "[]", R"({"value":{}})", R"({"value":{"port":null}})",
        R"({"value":{"port":"x"}})", R"({"value":{"port":""}})", R"({"value":{"port":80.5}})",
        R"({"value":{"port":-1}})", R"({"value":{"port":65536}})", R"({"value":{"port":1e300}})"}) {
    EXPECT_EQ(port_of(ok(none)), std::nullopt) << none;
  }
  EXPECT_EQ(port_of(refused("ResourceNotFoundError")), std::nullopt);
  EXPECT_EQ(json::parse(get_port_request()), (json{{"keyPath", {"port"}}}));
}

TEST(Telemetry, reports_what_grew_since_the_last_report) {
  Telemetry telemetry;
  auto deltas = telemetry.take({{"BytesAppended", 100}, {"BytesUploadedToKinesis", 0}});
  EXPECT_EQ(json::parse(metrics_request(deltas)),
            json::parse(R"({"metrics":[{"name":"BytesAppended","unit":"BYTES","value":100.0}]})"));
  EXPECT_TRUE(telemetry.take({{"BytesAppended", 150}}).empty()) << "one is under way";
  EXPECT_FALSE(telemetry.answered(ok("{}")));
  deltas = telemetry.take({{"BytesAppended", 150}, {"BytesUploadedToKinesis", 7}});
  ASSERT_EQ(deltas.size(), 2U);
  EXPECT_EQ(deltas[0].bytes, 50U);
  EXPECT_EQ(deltas[1].bytes, 7U);
  EXPECT_FALSE(telemetry.answered(ok("{}")));
  EXPECT_TRUE(telemetry.take({{"BytesAppended", 150}, {"BytesUploadedToKinesis", 7}}).empty());
}

TEST(Telemetry, reports_again_what_was_not_taken) {
  Telemetry telemetry;
  EXPECT_EQ(telemetry.take({{"BytesAppended", 10}}).at(0).bytes, 10U);
  EXPECT_FALSE(telemetry.answered(kUnanswered));
  EXPECT_EQ(telemetry.take({{"BytesAppended", 30}}).at(0).bytes, 30U);
  EXPECT_FALSE(telemetry.answered(refused("ServiceError")));
  EXPECT_EQ(telemetry.take({{"BytesAppended", 30}}).at(0).bytes, 30U);
}

TEST(Telemetry, is_given_up_where_there_is_none) {
  for (const Answer& no :
       {refused("ServiceError", ""), refused("UnauthorizedError"),
        refused("X", "Unsupported operation"), refused("UnsupportedOperation")}) {
    Telemetry telemetry;
    ASSERT_FALSE(telemetry.take({{"BytesAppended", 10}}).empty());
    EXPECT_TRUE(telemetry.answered(no)) << no.error;
    EXPECT_TRUE(telemetry.take({{"BytesAppended", 20}}).empty());
  }
  Telemetry telemetry;
  for (int i = 1; i <= Telemetry::kRefusedMax; ++i) {
    ASSERT_FALSE(telemetry.take({{"BytesAppended", 10}}).empty());
    EXPECT_EQ(telemetry.answered(refused("InvalidArgumentsError")), i == Telemetry::kRefusedMax);
  }
}

TEST(Telemetry, is_not_given_up_once_it_was_taken) {
  Telemetry telemetry;
  telemetry.take({{"BytesAppended", 10}});
  telemetry.answered(ok("{}"));
  for (int i = 0; i < 10; ++i) {
    ASSERT_FALSE(telemetry.take({{"BytesAppended", 20}}).empty());
    EXPECT_FALSE(telemetry.answered(refused("ServiceError", "")));
  }
}

}  // namespace
}  // namespace weir::greengrass
