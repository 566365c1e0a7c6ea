#include "destination/iot_analytics/destination.h"

#include "destination/testing/scripted_client.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace weir::destination::iot_analytics {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using testing::answer;
using testing::batch_of;
using testing::from_base64;
using testing::refusal;
using testing::Script;
using testing::SeenRequest;
using testing::verdicts;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

class IotAnalyticsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    script->answer = [this](const SeenRequest& request) { return serve(request); };
  }
  HttpResponse serve(const SeenRequest& request) {
    EXPECT_EQ(request.url, "http://127.0.0.1:9/messages/batch");
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body.at("channelName"), "ch");
    std::set<std::string> ids;
    Json errors = Json::array();
    calls.push_back(body.at("messages").size());
    for (const Json& message : body.at("messages")) {
      const auto id = message.at("messageId").get<std::string>();
      EXPECT_TRUE(ids.insert(id).second) << "an id twice in a call";
      EXPECT_LE(id.size(), 128U);
      const std::string payload = from_base64(message.at("payload"));
      const std::string code = code_for ? code_for(payload) : "";
      if (code.empty()) {
        stored.emplace_back(id, payload);
      } else {
        errors.push_back({{"messageId", id}, {"errorCode", code}, {"errorMessage", "words"}});
      }
    }
    return answer(200, Json{{"batchPutMessageErrorEntries", errors}}.dump());
  }
  IotAnalyticsDestination& destination(const std::string& prefix = "site-",
                                       const std::string& stream = "pumps") {
    made = std::make_unique<IotAnalyticsDestination>(
        IotAnalyticsDestination::Setup{
            "ch", prefix, stream,
            testing::scripted_client({"iotanalytics", "iotanalytics", "iotanalytics"}, script,
                                     clock, metrics)},
        metrics);
    return *made;
  }
  Outcome deliver(const Lines& payloads) { return destination().deliver(batch_of(payloads), {}); }

  ManualClock clock;
  metrics::Registry metrics;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::unique_ptr<IotAnalyticsDestination> made;
  std::function<std::string(const std::string& payload)> code_for;
  std::vector<std::size_t> calls;
  std::vector<std::pair<std::string, std::string>> stored;
};

TEST_F(IotAnalyticsTest, DeliversInOrderUnderIdsThatBeginAsTheClientSaid) {
  EXPECT_EQ(verdicts(deliver({"a", std::string("\0\xff", 2)})), "all d");
  ASSERT_EQ(stored.size(), 2U);
  EXPECT_TRUE(stored[0].first.starts_with("site-"));
  EXPECT_TRUE(stored[0].first.ends_with("-100"));
  EXPECT_EQ(stored[1].second, std::string("\0\xff", 2));
}

TEST_F(IotAnalyticsTest, AnIdIsTheSameOnEveryTryAndDifferentInEveryStream) {
  EXPECT_EQ(verdicts(deliver({"a"})), "all d");
  EXPECT_EQ(verdicts(deliver({"a"})), "all d");
  EXPECT_EQ(stored[0].first, stored[1].first);
  static_cast<void>(destination("site-", "other").deliver(batch_of({"a"}), {}));
  EXPECT_NE(stored[0].first, stored[2].first);
}

TEST_F(IotAnalyticsTest, CallsHaveAtMostAHundredMessages) {
  EXPECT_EQ(verdicts(deliver(Lines(250, "x"))), "all d");
  EXPECT_EQ(calls, (std::vector<std::size_t>{100, 100, 50}));
  EXPECT_EQ(made->limits().messages_max, 100);
}

TEST_F(IotAnalyticsTest, FailedMessagesAreReportedOneByOne) {
  code_for = [](const std::string& payload) {
    return payload == "b" ? "ThrottlingException" : payload == "c" ? "InvalidRequestException" : "";
  };
  const Outcome outcome = deliver({"a", "b", "c", "d"});
  EXPECT_EQ(verdicts(outcome), "drxd");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
}

TEST_F(IotAnalyticsTest, ARefusedCallIsDividedUntilThePoisonIsAlone) {
  script->answer = [this](const SeenRequest& request) {
    if (request.body.find("\"cA==\"") != std::string::npos) {  // p
      return refusal(400, "InvalidRequestException");
    }
    return serve(request);
  };
  EXPECT_EQ(verdicts(deliver({"a", "b", "p", "c", "d"})), "ddxdd");
}

// destinations.md §7.
TEST_F(IotAnalyticsTest, EveryRowOfTheErrorTable) {
  struct Row {
    int status;
    const char* code;
    FailureClass failure;
    bool poison;
  };
  for (const Row& row : {
           Row{400, "InvalidRequestException", FailureClass::kPoison, true},
           Row{404, "ResourceNotFoundException", FailureClass::kOperator, false},
           Row{429, "ThrottlingException", FailureClass::kThrottle, false},
           Row{500, "InternalFailureException", FailureClass::kTransient, false},
           Row{503, "ServiceUnavailableException", FailureClass::kTransient, false},
       }) {
    script->answer = [&](const SeenRequest&) { return refusal(row.status, row.code); };
    Outcome outcome = deliver({"a"});
    EXPECT_EQ(verdicts(outcome), row.poison ? "x" : "all r") << row.code;
    EXPECT_EQ(outcome.failure, row.failure) << row.code;

    script->answer = [this](const SeenRequest& request) { return serve(request); };
    code_for = [&](const std::string& payload) { return payload == "b" ? row.code : ""; };
    outcome = deliver({"a", "b"});
    EXPECT_EQ(verdicts(outcome), row.poison ? "dx" : "dr") << row.code;
    EXPECT_EQ(outcome.records[1].failure, row.failure) << row.code;
  }
}

TEST_F(IotAnalyticsTest, OnlyAWholeAndSensibleAnswerIsASuccess) {
  for (const char* body :
       {"", "{}", "[]", "<html>", R"({"batchPutMessageErrorEntries":null})",
        R"({"batchPutMessageErrorEntries":[]} x)", R"({"batchPutMessageErrorEntries":[{}]})",
        R"({"batchPutMessageErrorEntries":[{"messageId":"other","errorCode":"X"}]})"}) {
    script->answer = [&](const SeenRequest&) { return answer(200, body); };
    const Outcome outcome = deliver({"a"});
    EXPECT_EQ(verdicts(outcome), "r") << body;
    EXPECT_EQ(outcome.failure, FailureClass::kTransient) << body;
  }
}

TEST(IotAnalyticsNames, OnlyNamesOfChannelsAndOfIdsAreTaken) {
  EXPECT_TRUE(validate("a_B9", "prefix "));
  for (const char* channel : {"", "__x", "a-b", "a b"})
    EXPECT_FALSE(validate(channel, "")) << channel;
  EXPECT_FALSE(validate(std::string(129, 'a'), ""));
  EXPECT_FALSE(validate("a", "\xc3\xa9"));
  EXPECT_FALSE(validate("a", std::string(65, 'p')));
}

}  // namespace
}  // namespace weir::destination::iot_analytics
