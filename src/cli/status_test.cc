// What /status says of credentials, redirects and connectors, as text.

#include "cli/status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

std::string shown(const std::string& document) {
  const auto status = parse_status(document);
  return status ? status_text(*status) : "error: " + status.error().what;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(StatusText, CredentialsHaveASourceAndAnEndAndAnErrorWhenTheyNeedOne) {
  const std::string text = shown(R"({"credentials":[
    {"role":"","source":"environment","have":true,"expires_ms":0,"expires_in_ms":0,"error":""},
    {"role":"arn:aws:iam::2:role/x","source":"role arn:aws:iam::2:role/x","have":true,
     "expires_ms":1600000,"expires_in_ms":600000,"error":"the token service is away"},
    {"role":"arn:aws:iam::3:role/y","source":"","have":false,"expires_ms":0,"error":"AccessDenied"},
    {"role":"","source":"old","have":true,"expires_ms":1,"expires_in_ms":-5,"error":""}]})");
  EXPECT_TRUE(has(text, "  AWS credentials: environment, without end\n")) << text;
  EXPECT_TRUE(has(text,
                  "AWS credentials of arn:aws:iam::2:role/x: role arn:aws:iam::2:role/x, for "
                  "another 10 min"))
      << text;
  EXPECT_TRUE(has(text, "\n    the token service is away\n")) << text;
  EXPECT_TRUE(has(text, "arn:aws:iam::3:role/y: NONE\n    AccessDenied\n")) << text;
  EXPECT_TRUE(has(text, "AWS credentials: old, EXPIRED\n")) << text;
}

TEST(StatusText, ARedirectedExportSaysWhereItsMessagesGo) {
  const std::string text = shown(R"({"streams":[{"name":"pumps","exports":[
    {"identifier":"a","type":"iot_analytics","target":"closed","state":"idle",
     "redirected_to":{"type":"kinesis","target":"telemetry"}}]}]})");
  EXPECT_TRUE(has(text,
                  "export a (iot_analytics -> closed), 0 exported\n    redirected to kinesis -> "
                  "telemetry\n"))
      << text;
}

TEST(StatusText, AConnectorSaysWhatItsBrokerQueuesAndAnswersAreDoing) {
  const std::string text = shown(R"({"connectors":[
    {"name":"line","type":"firehose","version":2,"broker":"mqtts://b:8883","mqtt_version":"5",
     "state":"disconnected","reason":"connection refused","next_try_in_ms":4000,
     "unacknowledged_messages":3,
     "queues":[{"arn":"arn:lake","persistence":"memory","state":"backoff","reason":"throttled",
                "next_try_in_ms":2000,"waiting_messages":12}],
     "answers":{"target":"s/out","state":"idle"}},
    {"name":"b","type":"firehose","version":5,"broker":"mqtt://b","mqtt_version":"3.1.1",
     "state":"connected","reason":"the broker refuses to send 'x'"}]})");
  EXPECT_TRUE(has(text,
                  "connector line (firehose, version 2), mqtts://b:8883, MQTT 5\n"
                  "  not connected: connection refused, next try in 4 s\n"
                  "  3 messages not acknowledged yet\n"
                  "  to arn:lake, in memory\n"
                  "    throttled, next try in 2 s, 12 messages waiting\n"
                  "  answers on s/out\n    up to date\n"))
      << text;
  EXPECT_TRUE(has(text, "MQTT 3.1.1\n  connected, but the broker refuses to send 'x'\n")) << text;
}

TEST(StatusText, DocumentsOfAnotherShapeDoNoHarm) {
  for (
      const char* text :
      {R"({"credentials":{}})", R"({"credentials":[1,null,"x"]})", R"({"credentials":7})",
       R"({"credentials":[{"have":"yes","expires_ms":"x","role":[]}]})",
       R"({"streams":[{"exports":[{"redirected_to":7}]}]})", R"({"connectors":7})",
       R"({"connectors":[7,{"queues":[1,{}],"answers":[]},{"queues":{"a":1},"answers":{"b":2}}]})"}) {
    EXPECT_FALSE(shown(text).starts_with("error")) << text;
  }
}

}  // namespace
}  // namespace weir::cli
