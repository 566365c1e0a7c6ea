#include "destination/sitewise/destination.h"

#include "destination/metrics.h"
#include "destination/sitewise/response.h"
#include "destination/testing/scripted_client.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace weir::destination::sitewise {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using testing::answer;
using testing::batch_of;
using testing::refusal;
using testing::Script;
using testing::SeenRequest;
using testing::verdicts;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

constexpr std::int64_t kNow = 1'767'323'045;  // 2026-01-02T03:04:05Z
constexpr const char* kNowDate = "Fri, 02 Jan 2026 03:04:05 GMT";
constexpr std::int64_t kDay = 86'400;

std::string entry(const std::string& id, std::int64_t seconds = kNow,
                  const std::string& alias = "/pump") {
  return Json{{"entryId", id},
              {"propertyAlias", alias},
              {"propertyValues",
               {{{"value", {{"doubleValue", 1.5}}}, {"timestamp", {{"timeInSeconds", seconds}}}}}}}
      .dump();
}

class SitewiseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    script->answer = [this](const SeenRequest& request) { return serve(request); };
  }
  // The service: refuses what it never accepts, fails what the test says.
  HttpResponse serve(const SeenRequest& request) {
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body.at("enablePartialEntryProcessing"), true);
    std::set<std::string> ids;
    std::set<std::string> times;
    Lines call;
    Json errors = Json::array();
    for (const Json& item : body.at("entries")) {
      const auto id = item.at("entryId").get<std::string>();
      EXPECT_TRUE(ids.insert(id).second) << "an id twice in a call";
      for (const Json& value : item.at("propertyValues")) {
        EXPECT_TRUE(
            times.insert(item.at("propertyAlias").dump() + value.at("timestamp").dump()).second)
            << "a property and time twice in a call";
      }
      call.push_back(id);
      const std::string code = code_for ? code_for(id) : "";
      if (code.empty()) {
        stored.push_back(id);
      } else {
        errors.push_back({{"entryId", id},
                          {"errors",
                           {{{"errorCode", code},
                             {"errorMessage", "words"},
                             {"timestamps", {{{"timeInSeconds", 1}}}}}}}});
      }
    }
    EXPECT_LE(call.size(), 10U);
    calls.push_back(call);
    return answer(200, Json{{"errorEntries", errors}}.dump(), {{"date", kNowDate}});
  }
  Outcome deliver(const Lines& payloads) { return made.deliver(batch_of(payloads), {}); }
  std::int64_t rejected(const char* reason) {
    return static_cast<std::int64_t>(
        metrics.counter(kRejectedMessagesTotal, {"iotsitewise", reason}).value());
  }

  ManualClock clock{kNow * 1000};
  metrics::Registry metrics;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  SitewiseDestination made{
      testing::scripted_client({"iotsitewise", "iotsitewise", "data.iotsitewise", read_error},
                               script, clock, metrics),
      metrics};
  std::function<std::string(const std::string& id)> code_for;
  std::vector<Lines> calls;
  Lines stored;
};

TEST_F(SitewiseTest, EachMessageIsAnEntryOfOneCall) {
  EXPECT_EQ(made.limits().messages_max, 10);
  EXPECT_EQ(verdicts(deliver({entry("a"), entry("b", kNow - 1)})), "all d");
  EXPECT_EQ(calls, std::vector<Lines>({{"a", "b"}}));
  EXPECT_EQ(script->seen[0].method, "POST");
  EXPECT_EQ(script->seen[0].url, "http://127.0.0.1:9/properties");
  EXPECT_EQ(script->seen[0].header("Content-Type"), "application/json");
}

TEST_F(SitewiseTest, TheSameIdOrTimeWaitsForTheNextCall) {
  EXPECT_EQ(verdicts(deliver({entry("a", kNow), entry("a", kNow - 1), entry("b", kNow - 1),
                              entry("c", kNow - 2), entry("d", kNow - 1, "/other")})),
            "all d");
  EXPECT_EQ(calls, std::vector<Lines>({{"a"}, {"a"}, {"b", "c", "d"}}));
}

TEST_F(SitewiseTest, MoreThanTenEntriesAreSeveralCalls) {
  Lines many;
  for (int i = 0; i < 23; ++i) many.push_back(entry("e" + std::to_string(i), kNow - i));
  EXPECT_EQ(verdicts(deliver(many)), "all d");
  ASSERT_EQ(calls.size(), 3U);
  EXPECT_EQ(calls[2].size(), 3U);
}

TEST_F(SitewiseTest, FailedEntriesAreReportedOneByOne) {
  code_for = [](const std::string& id) {
    return id == "b" ? "ThrottlingException" : id == "c" ? "InvalidRequestException" : "";
  };
  const Outcome outcome =
      deliver({entry("a"), entry("b", kNow - 1), entry("c", kNow - 2), entry("d", kNow - 3)});
  EXPECT_EQ(verdicts(outcome), "drxd");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
  EXPECT_EQ(outcome.records[2].reason, "InvalidRequestException: words (1 of its values)");
  EXPECT_EQ(rejected("refused"), 1);
}

TEST_F(SitewiseTest, WhatIsNoEntryIsNeverSentAndHoldsUpNothing) {
  EXPECT_EQ(verdicts(deliver({"not json", entry("a"), "{}", entry("b", kNow - 1)})), "xdxd");
  EXPECT_EQ(calls, std::vector<Lines>({{"a", "b"}}));
  EXPECT_EQ(rejected("malformed"), 2);
}

TEST_F(SitewiseTest, TheServiceJudgesTimesUntilItHasToldItsOwn) {
  code_for = [](const std::string& id) {
    return id == "old" ? "TimestampOutOfRangeException" : "";
  };
  EXPECT_EQ(verdicts(deliver({entry("old", kNow - 30 * kDay), entry("new", kNow)})), "xd");
  EXPECT_EQ(calls, std::vector<Lines>({{"old", "new"}}));
  // A week's backlog: now nothing of it costs a call.
  EXPECT_EQ(verdicts(deliver({entry("x", kNow - 30 * kDay), entry("y", kNow - 8 * kDay),
                              entry("z", kNow + kDay), entry("new", kNow)})),
            "xxxd");
  EXPECT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[1], Lines{"new"});
  EXPECT_EQ(rejected("out_of_range"), 3);
}

TEST_F(SitewiseTest, NearTheLimitsTheServiceDecides) {
  EXPECT_EQ(verdicts(deliver({entry("a")})), "all d");
  EXPECT_EQ(verdicts(deliver({entry("old", kNow - 7 * kDay), entry("ahead", kNow + 600)})),
            "all d");
}

TEST_F(SitewiseTest, OurOwnClockDecidesNothing) {
  clock.step_wall_ms(-40 * kDay * 1000);  // a device without a battery
  EXPECT_EQ(verdicts(deliver({entry("a")})), "all d");
  EXPECT_EQ(verdicts(deliver({entry("b"), entry("c", kNow - 40 * kDay)})), "dx")
      << "by the time of the answers";
}

// The data is from a controller whose clock is right; the gateway's is set from a wrong source.
TEST_F(SitewiseTest, AStepOfOurOwnClockCostsNoData) {
  EXPECT_EQ(verdicts(deliver({entry("a")})), "all d");
  for (const std::int64_t step_ms : {-kDay * 1000 / 24, 40 * kDay * 1000, -80 * kDay * 1000}) {
    clock.step_wall_ms(step_ms);
    EXPECT_EQ(verdicts(deliver({entry("b")})), "all d");
    EXPECT_EQ(verdicts(deliver({entry("c"), entry("old", kNow - 30 * kDay)})), "dx")
        << "and what is too old is not sent again";
  }
  EXPECT_EQ(rejected("out_of_range"), 3);
  EXPECT_EQ(stored.size(), 7U);
}

TEST_F(SitewiseTest, TheDateOfAForeignAnswerDecidesNothing) {
  const std::vector<HttpHeader> weeks_ago = {{"date", "Sun, 23 Nov 2025 03:04:05 GMT"}};
  for (const HttpResponse& foreign :
       {answer(502, "<html>bad gateway</html>", weeks_ago), answer(200, "<html>", weeks_ago),
        answer(403, R"({"message":"Please log in"})", weeks_ago),
        answer(200, R"({"errorEntries":[]})",
               {{"date", "Sun, 23 Nov 2025 03:04:05 GMT"}, {"age", "9"}})}) {
    script->answer = [&](const SeenRequest&) { return foreign; };
    deliver({entry("a")});
    script->answer = [this](const SeenRequest& request) { return serve(request); };
    EXPECT_EQ(verdicts(deliver({entry("b")})), "all d") << foreign.body;
  }
  EXPECT_EQ(rejected("out_of_range"), 0);
}

TEST_F(SitewiseTest, ARefusalInTheServicesOwnWordsTellsItsTime) {
  script->answer = [](const SeenRequest&) {
    return answer(429, R"({"message":"slow down"})",
                  {{"x-amzn-errortype", "ThrottlingException"}, {"date", kNowDate}});
  };
  EXPECT_EQ(verdicts(deliver({entry("old", kNow - 30 * kDay)})), "all r");
  EXPECT_EQ(verdicts(deliver({entry("old", kNow - 30 * kDay)})), "x");
  EXPECT_EQ(rejected("out_of_range"), 1);
  EXPECT_EQ(script->seen.size(), 1U);
}

// Otherwise a wrong time that nobody corrects could empty a stream unsent.
TEST_F(SitewiseTest, TheServiceIsAskedForItsTimeAgainEveryMinute) {
  code_for = [](const std::string&) { return "TimestampOutOfRangeException"; };
  for (int second = 0; second < 180; ++second) {
    EXPECT_EQ(verdicts(deliver({entry("old", kNow - 30 * kDay)})), "x");
    clock.advance(std::chrono::seconds(1));
  }
  EXPECT_EQ(calls.size(), 3U);
  EXPECT_EQ(rejected("out_of_range"), 177);
}

TEST_F(SitewiseTest, AnEntryWithOneValueInTimeIsSent) {
  EXPECT_EQ(verdicts(deliver({entry("a")})), "all d");
  Json mixed = Json::parse(entry("b", kNow - 1));
  mixed["propertyValues"].push_back(Json::parse(entry("b", kNow - 9 * kDay))["propertyValues"][0]);
  EXPECT_EQ(verdicts(deliver({mixed.dump()})), "all d");
}

TEST_F(SitewiseTest, EntriesInConflictGoOneByOneAfterwards) {
  int conflicts = 2;
  code_for = [&](const std::string&) {
    return conflicts-- > 0 ? "ConflictingOperationException" : "";
  };
  const Lines both = {entry("a", kNow, "/pump"), entry("b", kNow, "/the-same-pump")};
  EXPECT_EQ(verdicts(deliver(both)), "rr");
  EXPECT_EQ(verdicts(deliver(both)), "all d");
  EXPECT_EQ(calls, std::vector<Lines>({{"a", "b"}, {"a"}, {"b"}}));
  EXPECT_EQ(verdicts(deliver({entry("c"), entry("d", kNow - 1)})), "all d");
  EXPECT_EQ(calls.back(), (Lines{"c", "d"})) << "together again";
}

TEST_F(SitewiseTest, ACallRefusedForOneEntryIsDivided) {
  script->answer = [this](const SeenRequest& request) {
    if (request.body.find("poison") != std::string::npos) {
      return refusal(400, "InvalidRequestException");
    }
    return serve(request);
  };
  Lines entries;
  for (int i = 0; i < 10; ++i) {
    entries.push_back(entry(i == 6 ? "poison" : "e" + std::to_string(i), kNow - i));
  }
  EXPECT_EQ(verdicts(deliver(entries)), "ddddddxddd");
}

TEST_F(SitewiseTest, OnlyAWholeAndSensibleAnswerIsASuccess) {
  for (const char* body :
       {"", "{}", "[]", "<html>", R"({"errorEntries":null})", R"({"errorEntries":[]} x)",
        R"({"errorEntries":[{}]})", R"({"errorEntries":[{"entryId":"a","errors":[]}]})",
        R"({"errorEntries":[{"entryId":"a","errors":[{}]}]})",
        R"({"errorEntries":[{"entryId":"other","errors":[{"errorCode":"X"}]}]})",
        R"({"errorEntries":[],"errorEntries":[]})"}) {
    script->answer = [&](const SeenRequest&) { return answer(200, body); };
    const Outcome outcome = deliver({entry("a")});
    EXPECT_EQ(verdicts(outcome), "r") << body;
    EXPECT_EQ(outcome.failure, FailureClass::kTransient) << body;
  }
  script->answer = [](const SeenRequest&) { return answer(200, R"({"errorEntries":[]})"); };
  EXPECT_EQ(verdicts(deliver({entry("a")})), "all d");
}

struct Row {
  int status;
  const char* code;
  FailureClass failure;
  bool poison;
};
// destinations.md §6: the same codes for a call and for an entry.
const Row kRows[] = {
    {429, "ThrottlingException", FailureClass::kThrottle, false},
    {500, "InternalFailureException", FailureClass::kTransient, false},
    {503, "ServiceUnavailableException", FailureClass::kTransient, false},
    {409, "ConflictingOperationException", FailureClass::kTransient, false},
    {403, "AccessDeniedException", FailureClass::kOperator, false},
    {404, "ResourceNotFoundException", FailureClass::kOperator, false},
    {410, "LimitExceededException", FailureClass::kOperator, false},
    {400, "TimestampOutOfRangeException", FailureClass::kPoison, true},
    {400, "InvalidRequestException", FailureClass::kPoison, true},
};

TEST_F(SitewiseTest, EveryRowOfTheErrorTableAsAnAnswerToTheCall) {
  for (const Row& row : kRows) {
    script->answer = [&](const SeenRequest&) {
      return answer(row.status, R"({"message":"words"})",
                    {{"x-amzn-errortype", std::string(row.code) + ":http://internal/"}});
    };
    const Outcome outcome = deliver({entry("a")});
    EXPECT_EQ(verdicts(outcome), row.poison ? "x" : "all r") << row.code;
    EXPECT_EQ(outcome.failure, row.failure) << row.code;
  }
}

TEST_F(SitewiseTest, EveryRowOfTheErrorTableForOneEntry) {
  for (const Row& row : kRows) {
    code_for = [&](const std::string& id) { return id == "b" ? row.code : ""; };
    const Outcome outcome = deliver({entry("a"), entry("b", kNow - 1), entry("c", kNow - 2)});
    EXPECT_EQ(verdicts(outcome).substr(0, 2), row.poison ? "dx" : "dr") << row.code;
    EXPECT_EQ(outcome.records[1].failure, row.failure) << row.code;
  }
}

TEST(SitewiseAnswer, AnEntryIsRejectedOnlyWhenNothingInItIsWorthAnotherTry) {
  FailedEntry failed{"a",
                     {{"TimestampOutOfRangeException", "m", 1}, {"ThrottlingException", "m", 1}}};
  EXPECT_EQ(outcome_of(failed).verdict, exporter::Verdict::kRetry);
  EXPECT_EQ(outcome_of(failed).failure, FailureClass::kThrottle);
  failed.errors[1].code = "SomethingNewException";
  EXPECT_EQ(outcome_of(failed).failure, FailureClass::kBug) << "kept until somebody looks";
}

}  // namespace
}  // namespace weir::destination::sitewise
