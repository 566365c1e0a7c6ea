#include "destination/http/destination.h"

#include "destination/http/target.h"
#include "destination/testing/decompressed.h"
#include "destination/testing/scripted_transport.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::destination::http {
namespace {

using exporter::Batch;
using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;
using testing::answer;
using testing::cut_answer;
using testing::no_answer;
using testing::Script;
using testing::ScriptedTransport;
using testing::SeenRequest;
using Json = nlohmann::json;

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    script->answer = [](const auto&) { return answer(200); };
  }
  HttpDestination& destination() {
    if (!made) {
      made = std::make_unique<HttpDestination>(
          HttpDestination::Setup{*parse_url("http://127.0.0.1:8080/in?x=1"), format, options,
                                 std::make_unique<ScriptedTransport>(script)},
          clock, metrics);
    }
    return *made;
  }
  Outcome deliver(const std::vector<std::string>& payloads) {
    Batch batch("pumps", "hook");
    std::int64_t sequence = 7;
    for (const auto& payload : payloads)
      batch.add(SequenceNumber(sequence++), 1700, as_bytes(payload));
    return destination().deliver(batch, {});
  }
  static std::string verdicts(const Outcome& outcome) {
    const auto letter = [](Verdict v) {
      return v == Verdict::kDelivered ? 'd'
             : v == Verdict::kRetry   ? 'r'
             : v == Verdict::kUntried ? 'u'
                                      : 'x';
    };
    if (outcome.records.empty()) return std::string("all ") + letter(outcome.verdict);
    std::string text;
    for (const auto& record : outcome.records) text += letter(record.verdict);
    return text;
  }
  // Refuses requests that carry one of these payloads.
  void refuse(std::set<std::string> payloads, int status) {
    script->answer = [payloads, status](const SeenRequest& request) {
      for (const auto& payload : payloads) {
        if (request.body.find(payload) != std::string::npos) return answer(status);
      }
      return answer(200);
    };
  }

  ManualClock clock;
  metrics::Registry metrics;
  model::ExportFormat format = model::ExportFormat::kRawNotBatched;
  HttpOptions options;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::unique_ptr<HttpDestination> made;
};

TEST_F(HttpTest, RawPostsEveryMessageByItselfWithWhatLetsReceiversDropDuplicates) {
  EXPECT_EQ(verdicts(deliver({std::string("\0\xff", 2), "b"})), "all d");
  ASSERT_EQ(script->seen.size(), 2U);
  const SeenRequest& first = script->seen[0];
  EXPECT_EQ(first.method, "POST");
  EXPECT_EQ(first.url, "http://127.0.0.1:8080/in?x=1");
  EXPECT_EQ(first.body, std::string("\0\xff", 2));
  EXPECT_EQ(first.header("Content-Type"), "application/octet-stream");
  EXPECT_EQ(first.header("X-Weir-Stream"), "pumps");
  EXPECT_EQ(first.header("X-Weir-Sequence"), "7");
  EXPECT_EQ(first.header("X-Weir-Ingest-Time"), "1700");
  EXPECT_EQ(first.header("Idempotency-Key"), "pumps:7");
  EXPECT_EQ(first.header("User-Agent"), "weir/" WEIR_VERSION);
  EXPECT_EQ(script->seen[1].header("Idempotency-Key"), "pumps:8");
}

TEST_F(HttpTest, JsonPostsAnArrayOfMessages) {
  format = model::ExportFormat::kJsonBatched;
  EXPECT_EQ(verdicts(deliver({std::string("\0\xff\x68", 3), "b"})), "all d");
  ASSERT_EQ(script->seen.size(), 1U);
  EXPECT_EQ(script->seen[0].header("Content-Type"), "application/json");
  EXPECT_EQ(script->seen[0].body,
            R"([{"streamName":"pumps","sequenceNumber":7,"ingestTime":1700,"payload":"AP9o"},)"
            R"({"streamName":"pumps","sequenceNumber":8,"ingestTime":1700,"payload":"Yg=="}])");
}

TEST_F(HttpTest, BodiesAreCompressedWhereTheOperatorSaysSo) {
  const std::string payload(2000, 'z');
  for (const auto& [compression, name] :
       {std::pair{Compression::kGzip, "gzip"}, std::pair{Compression::kZstd, "zstd"}}) {
    options.compression = compression;
    for (const auto each :
         {model::ExportFormat::kRawNotBatched, model::ExportFormat::kJsonBatched}) {
      format = each;
      made.reset();
      script->seen.clear();
      EXPECT_EQ(verdicts(deliver({payload})), "all d");
      ASSERT_EQ(script->seen.size(), 1U);
      EXPECT_EQ(script->seen[0].header("Content-Encoding"), name);
      EXPECT_LT(script->seen[0].body.size(), 300U);
      const std::string plain = testing::decompressed(script->seen[0].body);
      if (each == model::ExportFormat::kRawNotBatched) {
        EXPECT_EQ(plain, payload);
      } else {
        EXPECT_EQ(Json::parse(plain).size(), 1U);
      }
    }
  }
}

TEST_F(HttpTest, EveryAnswerHasItsClass) {
  const std::map<FailureClass, std::vector<int>> table = {
      {FailureClass::kNone, {200, 201, 202, 204, 299}},
      {FailureClass::kTransient, {408, 425, 500, 501, 502, 503, 504, 599}},
      {FailureClass::kThrottle, {429}},
      {FailureClass::kOperator,
       {300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407,
        409, 410, 411, 412, 414, 415, 416, 417, 418, 421, 426, 428, 431, 451}},
      {FailureClass::kPoison, {400, 413, 422}},
  };
  for (const auto& [failure, statuses] : table) {
    for (const int status : statuses) {
      EXPECT_EQ(judge(answer(status), 0).failure, failure) << status;
    }
  }
}

TEST_F(HttpTest, AnAnswerThatIsNotWholeIsNoSuccess) {
  script->answers = {cut_answer(200, "o")};
  Outcome outcome = deliver({"a"});
  EXPECT_EQ(outcome.failure, FailureClass::kTransient);
  EXPECT_FALSE(outcome.connection_failed);
  script->answers = {no_answer("Could not resolve host")};
  outcome = deliver({"a"});
  EXPECT_TRUE(outcome.connection_failed);
  EXPECT_NE(outcome.error.find("Could not resolve host"), std::string::npos);
}

TEST_F(HttpTest, TheFirstFailureStopsRawAndKeepsWhatWasDelivered) {
  script->answers = {answer(200), answer(503, "", {{"retry-after", "9"}})};
  const Outcome outcome = deliver({"a", "b", "c"});
  EXPECT_EQ(verdicts(outcome), "drr");
  EXPECT_EQ(outcome.failure, FailureClass::kTransient);
  EXPECT_EQ(outcome.retry_after, std::chrono::seconds(9));
  EXPECT_EQ(script->seen.size(), 2U);
}

// 500 of half a second each would hold a worker for minutes, and be done again after a crash.
TEST_F(HttpTest, ASlowReceiverGivesTheWorkerBackAfterASecond) {
  script->answer = [this](const auto&) {
    clock.advance(std::chrono::milliseconds(500));
    return answer(200);
  };
  Outcome outcome = deliver({"a", "b", "c", "d"});
  EXPECT_EQ(verdicts(outcome), "dduu");
  EXPECT_EQ(outcome.error, "");
  script->answer = [this](const auto&) {
    clock.advance(std::chrono::seconds(20));
    return answer(400);
  };
  outcome = deliver({"a", "b"});
  EXPECT_EQ(verdicts(outcome), "xu");
  EXPECT_NE(outcome.error, "");
  EXPECT_EQ(verdicts(deliver({"a"})), "x");
}

TEST_F(HttpTest, WhatIsNotIsolatedWithinASecondIsLeftForLater) {
  format = model::ExportFormat::kJsonBatched;
  script->answer = [this](const SeenRequest& request) {
    clock.advance(std::chrono::milliseconds(400));
    return answer(request.body.find("YmFk") != std::string::npos ? 400 : 200);
  };
  EXPECT_EQ(verdicts(deliver({"bad", "ok!", "bad", "ok!"})), "xuuu");
  EXPECT_EQ(script->seen.size(), 3U);
}

TEST_F(HttpTest, RefusedContentIsRejectedAndTheRestGoesOn) {
  for (const int status : {400, 413, 422}) {
    refuse({"bad"}, status);
    EXPECT_EQ(verdicts(deliver({"a", "bad", "c"})), "dxd") << status;
  }
}

TEST_F(HttpTest, ARefusedAddressOrMediaTypeLosesNothing) {
  for (const int status : {401, 403, 404, 405, 414, 415, 409}) {
    script->answers = {answer(status)};
    const Outcome outcome = deliver({"a", "b"});
    EXPECT_EQ(verdicts(outcome), "all r") << status;
    EXPECT_EQ(outcome.failure, FailureClass::kOperator) << status;
  }
}

TEST_F(HttpTest, AnArrayIsHalvedUntilTheRefusedMessageIsAlone) {
  format = model::ExportFormat::kJsonBatched;
  refuse({"YmFk"}, 400);  // "bad"
  for (std::size_t at = 0; at < 9; ++at) {
    std::vector<std::string> payloads(9, "ok!");
    payloads[at] = "bad";
    std::string wanted(9, 'd');
    wanted[at] = 'x';
    EXPECT_EQ(verdicts(deliver(payloads)), wanted);
  }
}

TEST_F(HttpTest, RedirectsAreNotFollowedAndSayWhereTo) {
  script->answers = {answer(307, "", {{"location", "https://elsewhere/\nforged"}})};
  const Outcome outcome = deliver({"a"});
  EXPECT_EQ(outcome.failure, FailureClass::kOperator);
  EXPECT_NE(outcome.error.find("https://elsewhere/\\nforged"), std::string::npos) << outcome.error;
}

TEST_F(HttpTest, OperatorsMayAddAndReplaceHeaders) {
  options.headers = {{"content-type", "text/plain"}, {"X-Site", "7"}};
  EXPECT_EQ(verdicts(deliver({"a"})), "all d");
  EXPECT_EQ(script->seen[0].header("content-type"), "text/plain");
  EXPECT_EQ(script->seen[0].header("Content-Type"), "");
  EXPECT_EQ(script->seen[0].header("X-Site"), "7");
}

TEST(HttpValidation, HeadersCannotBreakRequests) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"", "x"},
                                          {"A B", "x"},
                                          {"A:", "x"},
                                          {"A\r\n", "x"},
                                          {"A", "x\r\nB: y"},
                                          {"Host", "x"},
                                          {"content-LENGTH", "1"},
                                          {"X-Weir-Stream", "x"},
                                          {"Transfer-Encoding", "chunked"},
                                          {"Idempotency-Key", "x"}}) {
    HttpOptions options;
    options.headers = {{name, value}};
    EXPECT_FALSE(validate(options)) << name;
  }
  HttpOptions options;
  options.headers = {{"X-A", "tab\tand é"}};
  EXPECT_TRUE(validate(options));
}

class TokenFile : public HttpTest {
 protected:
  void SetUp() override {
    HttpTest::SetUp();
    std::string name = ::testing::TempDir() + "weir-token-XXXXXX";
    const int fd = mkstemp(name.data());
    ASSERT_GE(fd, 0);
    close(fd);
    options.bearer_token_file = path = name;
  }
  void TearDown() override { unlink(path.c_str()); }
  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path, std::ios::trunc) << text;
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  std::string path;
};

TEST_F(TokenFile, IsReadForEveryDelivery) {
  write("first\n");
  EXPECT_EQ(verdicts(deliver({"a"})), "all d");
  write("second");
  EXPECT_EQ(verdicts(deliver({"a"})), "all d");
  EXPECT_EQ(script->seen[0].header("Authorization"), "Bearer first");
  EXPECT_EQ(script->seen[1].header("Authorization"), "Bearer second");
}

TEST_F(TokenFile, ThatIsUnusableHoldsTheExportAndIsNeverShown) {
  const std::vector<std::pair<std::string, mode_t>> rows = {{"", 0600},
                                                            {"a secret", 0600},
                                                            {"secret\nsecret", 0600},
                                                            {"secret", 0644},
                                                            {std::string(20'000, 's'), 0600}};
  for (const auto& [text, mode] : rows) {
    write(text, mode);
    const Outcome outcome = deliver({"a"});
    EXPECT_EQ(outcome.failure, FailureClass::kOperator);
    EXPECT_NE(outcome.error.find("bearer token file"), std::string::npos);
    EXPECT_EQ(outcome.error.find("secret"), std::string::npos);
  }
  unlink(path.c_str());
  EXPECT_NE(deliver({"a"}).error.find("No such file"), std::string::npos);
  EXPECT_TRUE(script->seen.empty());
}

TEST(HttpTarget, RefusesWhatReachesCredentialServices) {
  for (const char* uri :
       {"http://169.254.169.254/latest/meta-data", "http://169.254.170.2/", "http://169.254.0.1/",
        "http://[fe80::1]/", "http://[fd00:ec2::254]/", "http://[fd00:ec2::23]/",
        "http://224.0.0.1/", "http://239.255.255.255/", "http://255.255.255.255/",
        "http://[ff02::1]/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://2852039166/",
        "http://0xa9fea9fe/", "http://0xa9.0xfe.0xa9.0xfe/", "http://169.254.43518/",
        "http://0251.0376.0251.0376/"}) {
    const auto checked = check_target(uri);
    EXPECT_FALSE(checked) << uri;
    if (checked) continue;
    EXPECT_NE(checked.error().what.find("does not export to"), std::string::npos);
  }
}

TEST(HttpTarget, AllowsLoopbackAndOrdinaryAddresses) {
  for (const char* uri :
       {"http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:9/", "https://example.com/x",
        "http://10.0.0.1/", "http://192.168.1.7/", "http://[fd12::1]/", "http://[2001:db8::1]/",
        "http://169.253.1.1/", "http://169.254.example.com/"}) {
    EXPECT_TRUE(check_target(uri)) << uri;
  }
}

TEST(HttpTarget, WeirsOwnPortsOnThisMachineAreRefused) {
  const std::vector<std::uint16_t> own = {8088, 9999};
  for (const char* uri : {"http://127.0.0.1:8088/", "http://[::1]:9999/", "http://0.0.0.0:8088/",
                          "http://127.1:8088/", "http://[::ffff:127.0.0.1]:8088/"}) {
    EXPECT_FALSE(check_target(uri, own)) << uri;
  }
  EXPECT_TRUE(check_target("http://127.0.0.1:8089/", own));
  EXPECT_TRUE(check_target("http://10.0.0.1:8088/", own));
}

}  // namespace
}  // namespace weir::destination::http
