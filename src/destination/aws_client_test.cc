#include "destination/aws_client.h"

#include "destination/aws_error.h"
#include "destination/metrics.h"
#include "destination/options.h"
#include "destination/testing/scripted_transport.h"

#include <gtest/gtest.h>

namespace weir::destination {
namespace {

using exporter::FailureClass;
using testing::answer;
using testing::cut_answer;
using testing::no_answer;
using testing::Script;
using testing::ScriptedTransport;

constexpr std::int64_t kNowMs = 1'767'323'045'000;  // 2026-01-02T03:04:05Z
const AwsService kService = {"kinesis", "kinesis", "kinesis"};

Credentials keys(const std::string& id) {
  Credentials credentials;
  credentials.access_key_id = id;
  credentials.secret_access_key = "secret";
  return credentials;
}

// Hands out the next keys whenever it is asked to refresh.
class Rotating final : public CredentialsProvider {
 public:
  Result<Credentials> current(std::stop_token) override {
    if (!available) return fail(Errc::kNotFound, "no AWS credentials; set AWS_ACCESS_KEY_ID");
    return keys("KEY" + std::to_string(number));
  }
  Result<Credentials> refresh(const Credentials&, std::stop_token stop) override {
    ++refreshes;
    if (has_newer) ++number;
    return current(stop);
  }
  Result<Credentials> denied(const Credentials&, std::stop_token stop) override {
    ++denials;
    if (has_newer) ++number;
    return current(stop);
  }
  bool available = true;
  bool has_newer = true;
  int number = 0;
  int refreshes = 0;
  int denials = 0;
};

class AwsClientTest : public ::testing::Test {
 protected:
  AwsReply call() {
    return client.call(json_call("T.Op", "application/x-amz-json-1.1", as_bytes("{}")), {});
  }
  std::string key_of(std::size_t request) {
    const std::string text = script->seen[request].header("Authorization");
    const auto at = text.find("Credential=") + 11;
    return text.substr(at, text.find('/', at) - at);
  }
  std::string date_of(std::size_t request) { return script->seen[request].header("X-Amz-Date"); }

  ManualClock clock{kNowMs};
  metrics::Registry metrics;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::shared_ptr<Rotating> provider = std::make_shared<Rotating>();
  AwsClient client{kService,
                   "us-east-1",
                   *parse_url("http://127.0.0.1:4567/prefix/"),
                   provider,
                   std::make_unique<ScriptedTransport>(script),
                   clock,
                   metrics};
};

TEST_F(AwsClientTest, SendsASignedRequestToTheEndpointWithItsPath) {
  script->answers = {answer(200, "{}")};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  ASSERT_EQ(script->seen.size(), 1U);
  EXPECT_EQ(script->seen[0].url, "http://127.0.0.1:4567/prefix/");
  EXPECT_EQ(script->seen[0].header("Host"), "127.0.0.1:4567");
  EXPECT_EQ(script->seen[0].header("X-Amz-Target"), "T.Op");
  EXPECT_EQ(date_of(0), "20260102T030405Z");
  EXPECT_EQ(key_of(0), "KEY0");
}

TEST_F(AwsClientTest, PathAndQueryOfACallStandBehindThePathOfTheEndpoint) {
  script->answers = {answer(200), answer(200)};
  AwsCall put;
  put.method = "PUT";
  put.path = "/bucket/a%20b";
  put.query = "partNumber=2&uploadId=u%2F1";
  put.headers = {{"x-amz-meta-site", "7"}};
  EXPECT_EQ(client.call(put, {}).failure, FailureClass::kNone);
  EXPECT_EQ(script->seen[0].method, "PUT");
  EXPECT_EQ(script->seen[0].url,
            "http://127.0.0.1:4567/prefix/bucket/a%20b?partNumber=2&uploadId=u%2F1");
  EXPECT_NE(script->seen[0].header("Authorization").find("x-amz-date;x-amz-meta-site,"),
            std::string::npos)
      << "what begins with x-amz- is signed";

  AwsCall elsewhere;
  elsewhere.method = "HEAD";
  elsewhere.path = "/key";
  elsewhere.endpoint = *parse_url("https://bucket.s3.eu-west-1.amazonaws.com/");
  elsewhere.region = "eu-west-1";
  EXPECT_EQ(client.call(elsewhere, {}).failure, FailureClass::kNone);
  EXPECT_EQ(script->seen[1].url, "https://bucket.s3.eu-west-1.amazonaws.com/key");
  EXPECT_EQ(script->seen[1].header("Host"), "bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_NE(script->seen[1].header("Authorization").find("/eu-west-1/"), std::string::npos);
}

TEST_F(AwsClientTest, AServiceReadsItsOwnErrors) {
  AwsService other = kService;
  other.read_error = [](const HttpResponse& response) {
    AwsError error;
    error.failure = FailureClass::kThrottle;
    error.code = response.body;
    return error;
  };
  AwsClient own(other, "us-east-1", *parse_url("http://127.0.0.1:4567/"), provider,
                std::make_unique<ScriptedTransport>(script), clock, metrics);
  script->answers = {answer(400, "Slow")};
  const AwsReply reply = own.call(json_call("T.Op", "text/plain", {}), {});
  EXPECT_EQ(reply.failure, FailureClass::kThrottle);
  EXPECT_EQ(reply.code, "Slow");
}

TEST_F(AwsClientTest, WithoutKeysNothingIsSentAndTheTextSaysWhatToSet) {
  provider->available = false;
  const AwsReply reply = call();
  EXPECT_EQ(reply.failure, FailureClass::kCredentials);
  EXPECT_NE(reply.error.find("AWS_ACCESS_KEY_ID"), std::string::npos);
  EXPECT_TRUE(reply.outcome().without_keys) << "so that it is tried again when others have keys";
  EXPECT_TRUE(script->seen.empty());
}

TEST_F(AwsClientTest, ExpiredKeysAreRefreshedAndTheCallRepeatedOnce) {
  script->answers = {answer(400, R"({"__type":"ExpiredTokenException"})"), answer(200, "{}")};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  ASSERT_EQ(script->seen.size(), 2U);
  EXPECT_EQ(key_of(1), "KEY1");
}

TEST_F(AwsClientTest, KeysThatStayExpiredAreReportedAfterOneRepeat) {
  script->answer = [](const auto&) { return answer(403, R"({"__type":"ExpiredToken"})"); };
  EXPECT_EQ(call().failure, FailureClass::kCredentials);
  EXPECT_EQ(script->seen.size(), 2U);
}

TEST_F(AwsClientTest, WithoutNewerKeysTheCallIsNotRepeated) {
  provider->has_newer = false;
  script->answer = [](const auto&) { return answer(400, R"({"__type":"ExpiredToken"})"); };
  EXPECT_EQ(call().failure, FailureClass::kCredentials);
  EXPECT_EQ(script->seen.size(), 1U);
  EXPECT_EQ(provider->refreshes, 1);
}

TEST_F(AwsClientTest, AWrongClockIsMeasuredAndTheCallSignedAgain) {
  // The destination is 20 minutes ahead.
  script->answers = {answer(403, R"({"__type":"RequestTimeTooSkewed"})",
                            {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}}),
                     answer(200, "{}", {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}}),
                     answer(200, "{}", {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}})};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  ASSERT_EQ(script->seen.size(), 2U);
  EXPECT_EQ(date_of(1), "20260102T032405Z");
  EXPECT_EQ(call().failure, FailureClass::kNone);
  EXPECT_EQ(date_of(2), "20260102T032405Z") << "the offset is kept";
}

TEST_F(AwsClientTest, AnOffsetIsDroppedWhenOurClockIsSet) {
  script->answers = {answer(200, "{}", {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}}),
                     answer(200, "{}", {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}})};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  const auto& offset = metrics.gauge(kClockOffsetMs, {"kinesis"});
  EXPECT_EQ(offset.value(), 20 * 60 * 1000);
  clock.step_wall_ms(20 * 60 * 1000);
  EXPECT_EQ(call().failure, FailureClass::kNone);
  EXPECT_EQ(date_of(1), "20260102T032405Z") << "not 20 minutes too much";
  EXPECT_EQ(offset.value(), 0);
}

TEST_F(AwsClientTest, SmallDifferencesAndCachedDatesChangeNothing) {
  script->answers = {answer(200, "{}", {{"date", "Fri, 02 Jan 2026 03:07:00 GMT"}}),
                     answer(200, "{}", {{"date", "Fri, 02 Jan 2026 05:04:05 GMT"}, {"age", "9"}}),
                     answer(200, "{}", {{"date", "not a date"}}), answer(200, "{}")};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(call().failure, FailureClass::kNone);
    EXPECT_EQ(date_of(script->seen.size() - 1), "20260102T030405Z");
  }
}

TEST_F(AwsClientTest, AClockErrorWithTheRightTimeIsNotRepeatedForEver) {
  provider->has_newer = false;
  script->answer = [](const auto&) {
    return answer(403, R"({"__type":"RequestTimeTooSkewed"})",
                  {{"date", "Fri, 02 Jan 2026 03:04:05 GMT"}});
  };
  EXPECT_EQ(call().failure, FailureClass::kClock);
  EXPECT_EQ(script->seen.size(), 1U);
}

TEST_F(AwsClientTest, AWrongSecretIsForAPerson) {
  script->answer = [](const auto&) {
    return answer(403, R"({"__type":"SignatureDoesNotMatch","message":"check your secret"})");
  };
  EXPECT_EQ(call().failure, FailureClass::kOperator);
  EXPECT_EQ(script->seen.size(), 2U) << "one more try with fresh keys";
}

constexpr const char* kWrongSecret = R"({"__type":"InvalidSignatureException",
  "message":"The request signature we calculated does not match the signature you provided."})";

TEST_F(AwsClientTest, ACorrectedSecretIsUsedAtOnceWhereverTheServiceSaysThatItWasWrong) {
  script->answers = {answer(400, kWrongSecret), answer(200, "{}")};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  EXPECT_EQ(key_of(1), "KEY1");
}

TEST_F(AwsClientTest, ASecretThatStaysWrongIsForAPersonAndAskedForAgainWithEveryTry) {
  provider->has_newer = false;
  script->answer = [](const auto&) { return answer(400, kWrongSecret); };
  for (int tries = 1; tries <= 3; ++tries) {
    EXPECT_EQ(call().failure, FailureClass::kOperator);
    EXPECT_EQ(provider->refreshes, tries);
  }
  EXPECT_EQ(script->seen.size(), 3U);
}

TEST_F(AwsClientTest, AWrongSignatureWithAWrongClockIsSignedAgainBeforeTheKeysAreBlamed) {
  script->answers = {answer(400, kWrongSecret, {{"date", "Fri, 02 Jan 2026 03:24:05 GMT"}}),
                     answer(200, "{}")};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  EXPECT_EQ(date_of(1), "20260102T032405Z");
  EXPECT_EQ(provider->refreshes, 0);
}

TEST_F(AwsClientTest, KeysOfSomebodyElseAreExchangedForThoseThatReplacedThem) {
  script->answers = {answer(400, R"({"__type":"AccessDeniedException","message":"not yours"})"),
                     answer(200, "{}"), answer(403, "")};
  EXPECT_EQ(call().failure, FailureClass::kNone);
  EXPECT_EQ(key_of(1), "KEY1");
  provider->has_newer = false;
  EXPECT_EQ(call().failure, FailureClass::kOperator);
  EXPECT_EQ(provider->denials, 2);
  EXPECT_EQ(script->seen.size(), 3U) << "without other keys the call is not repeated";
}

TEST_F(AwsClientTest, HalfAnAnswerAndNoAnswerAreTransient) {
  script->answers = {cut_answer(200, "{\"Rec"), no_answer("Connection refused")};
  const AwsReply half = call();
  EXPECT_EQ(half.failure, FailureClass::kTransient);
  EXPECT_FALSE(half.outcome().connection_failed);
  const AwsReply none = call();
  EXPECT_EQ(none.failure, FailureClass::kTransient);
  EXPECT_TRUE(none.outcome().connection_failed);
  EXPECT_NE(none.error.find("Connection refused"), std::string::npos);
}

TEST_F(AwsClientTest, BothHintsForTheNextTryAreHonouredAndClamped) {
  script->answers = {answer(503, "", {{"x-amz-retry-after", "1500"}}),
                     answer(503, "", {{"retry-after", "7"}}),
                     answer(503, "", {{"x-amz-retry-after", "99999999999"}}),
                     answer(503, "", {{"x-amz-retry-after", "soon"}})};
  EXPECT_EQ(call().retry_after, std::chrono::milliseconds(1500));
  EXPECT_EQ(call().retry_after, std::chrono::seconds(7));
  EXPECT_EQ(call().retry_after, std::chrono::seconds(300));
  EXPECT_EQ(call().retry_after, std::nullopt);
}

std::string endpoint(const AwsOptions& aws) {
  const auto url = aws_endpoint(aws, kService);
  return url ? url->text() : "error: " + url.error().what;
}

TEST(AwsEndpoint, FollowsRegionAndPartition) {
  AwsOptions aws;
  aws.region = "eu-central-1";
  EXPECT_EQ(endpoint(aws), "https://kinesis.eu-central-1.amazonaws.com/");
  aws.region = "cn-north-1";
  EXPECT_EQ(endpoint(aws), "https://kinesis.cn-north-1.amazonaws.com.cn/");
  aws.region = "eusc-de-east-1";
  EXPECT_EQ(endpoint(aws), "https://kinesis.eusc-de-east-1.amazonaws.eu/");
}

TEST(AwsEndpoint, TheServicesOwnOverrideWinsAndPathsAreKept) {
  AwsOptions aws;
  aws.region = "eu-central-1";
  aws.endpoint_url = "http://127.0.0.1:1/all";
  EXPECT_EQ(endpoint(aws), "http://127.0.0.1:1/all");
  aws.service_endpoint_urls["kinesis"] = "http://127.0.0.1:2/k/";
  EXPECT_EQ(endpoint(aws), "http://127.0.0.1:2/k/");
}

TEST(AwsEndpoint, SaysWhatToSet) {
  AwsOptions aws;
  EXPECT_NE(endpoint(aws).find("AWS_REGION"), std::string::npos);
  aws.region = "evil.example/";
  EXPECT_NE(endpoint(aws).find("AWS_REGION"), std::string::npos);
  aws.region = "eu-central-1";
  aws.endpoint_url = "127.0.0.1:4566";
  EXPECT_NE(endpoint(aws).find("AWS_ENDPOINT_URL"), std::string::npos);
}

}  // namespace
}  // namespace weir::destination
