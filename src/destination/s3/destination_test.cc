#include "destination/s3/destination.h"

#include "base/log.h"
#include "destination/credentials.h"
#include "destination/options.h"
#include "destination/s3/fakes.h"
#include "destination/testing/scripted_transport.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace weir::destination::s3 {
namespace {

using exporter::Batch;
using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;
using fake::FakeNotes;
using fake::FakeS3;
using fake::FakeStreams;
using fake::refusal;
using nlohmann::json;
using testing::answer;
using testing::Script;
using testing::SeenRequest;

class S3 : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory);
    script->answer = [this](const SeenRequest& request) { return s3(request); };
    restart();
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  // A new process, or a new definition: only notes, streams and S3 are as they were.
  void restart() {
    AwsOptions aws;
    aws.access_key_id = "id";
    aws.secret_access_key = "secret";
    const AwsService service = {"s3", "s3", "s3", read_s3_error};
    Client::Setup client;
    client.aws = std::make_unique<AwsClient>(
        service, "us-east-1", Url{endpoint.scheme, endpoint.host, endpoint.port, "/", "", false},
        static_credentials(aws), std::make_unique<testing::ScriptedTransport>(script), clock,
        metrics);
    client.place = [this](const std::string& region,
                          const std::stop_token&) -> Result<AwsClient::Place> {
      Url url = endpoint;
      if (!overridden)
        url.host = "s3." + (region.empty() ? "us-east-1" : region) + ".amazonaws.com";
      return AwsClient::Place{region.empty() ? "us-east-1" : region, url};
    };
    client.overridden = overridden;
    client.hashes_bodies = endpoint.scheme == "http";
    client.path_style = path_style;
    S3Destination::Setup setup;
    setup.stream_name = "uploads";
    setup.identifier = "s3";
    setup.status_stream = status_stream;
    setup.status_level = level;
    setup.threshold_bytes = threshold;
    setup.input = rules;
    setup.denied = [this] { return secrets; };
    setup.client = std::make_unique<Client>(std::move(client));
    setup.streams = streams;
    setup.notes = notes;
    destination = std::make_unique<S3Destination>(std::move(setup), clock, metrics);
  }
  std::string file(const std::string& name, std::size_t bytes) {
    std::string content(bytes, '\0');
    for (std::size_t i = 0; i < bytes; i += 4096)
      content[i] = static_cast<char>('a' + i / 4096 % 26);
    std::ofstream(directory + "/" + name, std::ios::binary) << content;
    return content;
  }
  // Writes to a file that is there, in place; always later than the last time.
  void write_into(const std::string& name, const std::string& content,
                  std::ios::openmode how = std::ios::in | std::ios::out) {
    const std::filesystem::path path = directory + "/" + name;
    const auto before = std::filesystem::last_write_time(path);
    std::ofstream(path, std::ios::binary | how) << content;
    std::filesystem::last_write_time(path, before + std::chrono::seconds(1));
  }
  [[nodiscard]] std::string task(const std::string& name, const std::string& key = "key",
                                 const std::string& more = {}) const {
    return R"({"inputUrl":"file:)" + directory + "/" + name + R"(","bucket":"bucket","key":")" +
           key + '"' + more + '}';
  }
  Outcome deliver(std::int64_t sequence, const std::string& payload, std::stop_token stop = {}) {
    Batch batch("uploads", "s3");
    batch.add(SequenceNumber(sequence), clock.wall_ms(), as_bytes(payload));
    return destination->deliver(batch, std::move(stop));
  }
  // "2" for InProgress, "0" for Success ... in order, of one task.
  std::string statuses(std::int64_t sequence = 0) {
    std::string all;
    for (const std::string& text : streams->told["status"]) {
      const json message = json::parse(text);
      if (message.at("statusContext").at("sequenceNumber") != sequence) continue;
      all += std::to_string(message.at("status").get<int>());
    }
    return all;
  }
  std::string last_message() {
    return streams->told["status"].empty()
               ? "none"
               : json::parse(streams->told["status"].back()).at("message").get<std::string>();
  }

  const std::string directory = std::filesystem::canonical(::testing::TempDir()).string() +
                                "/weir-s3-" + std::to_string(getpid());
  ManualClock clock;
  metrics::Registry metrics;
  FakeS3 s3;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::shared_ptr<FakeStreams> streams = std::make_shared<FakeStreams>();
  std::shared_ptr<FakeNotes> notes = std::make_shared<FakeNotes>();
  std::string status_stream = "status";
  model::StatusLevel level = model::StatusLevel::kInfo;
  std::int64_t threshold = kPartBytesMin;
  InputRules rules;
  std::vector<std::string> secrets;
  Url endpoint = {"http", "127.0.0.1", 9000, "/", "", false};
  bool overridden = true;
  bool path_style = false;
  std::unique_ptr<S3Destination> destination;
};

constexpr std::size_t kLarge = 12 * 1024 * 1024;  // two parts and a piece

TEST_F(S3, WhatBecomesASecretWhileTheExportRunsIsDeniedFromThenOn) {
  file("a", 10);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(0), "20");
  secrets = {directory + "/a", directory + "/b"};
  deliver(1, task("a", "leak"));
  EXPECT_EQ(statuses(1), "1");
  file("b", 10);  // the file is made later than the configuration that names it
  deliver(2, task("b", "leak"));
  EXPECT_EQ(statuses(2), "1");
  EXPECT_FALSE(s3.objects.contains("/bucket/leak"));
}

TEST_F(S3, ASmallFileIsOneRequestAndTwoStatuses) {
  const std::string content = file("a", 1000);
  const auto outcome = deliver(0, task("a", "k", R"(,"userMetadata":{"Site":"7"})"));
  EXPECT_EQ(outcome.verdict, Verdict::kDelivered) << outcome.error;
  EXPECT_EQ(s3.objects.at("/bucket/k"), content);
  EXPECT_EQ(statuses(), "20");
  ASSERT_EQ(script->seen.size(), 1U);
  const SeenRequest& request = script->seen[0];
  EXPECT_EQ(request.header("x-amz-meta-site"), "7");
  EXPECT_EQ(request.header("Content-Type"), "application/octet-stream");
  EXPECT_EQ(request.header("x-amz-content-sha256"), sha256_hex(as_bytes(content)));
  EXPECT_FALSE(request.header("Content-MD5").empty());
  EXPECT_FALSE(request.header("x-amz-checksum-crc32").empty());
}

TEST_F(S3, AnEmptyFileIsAnEmptyObject) {
  file("empty", 0);
  EXPECT_EQ(deliver(0, task("empty")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.objects.at("/bucket/key"), "");
}

TEST_F(S3, ALargeFileGoesInParts) {
  level = model::StatusLevel::kTrace;
  restart();
  const std::string content = file("big", kLarge);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(s3.operations,
            (std::vector<std::string>{"Create", "Part", "Part", "Part", "Complete"}));
  EXPECT_EQ(statuses(), "22220") << "begun, three parts, done";
}

TEST_F(S3, OverTlsBodiesAreNotHashedAndBucketsAreHosts) {
  overridden = false;
  endpoint = {"https", "unused", 443, "/", "", false};
  restart();
  file("a", 10);
  EXPECT_EQ(deliver(0, task("a", "d/x y+z")).verdict, Verdict::kDelivered);
  EXPECT_EQ(script->seen[0].url, "https://bucket.s3.us-east-1.amazonaws.com/d/x%20y%2Bz");
  EXPECT_EQ(script->seen[0].header("x-amz-content-sha256"), kUnsignedPayload);
}

TEST_F(S3, OnAwsTheWholeObjectHasAChecksum) {
  overridden = false;
  endpoint = {"https", "unused", 443, "/", "", false};
  restart();
  const std::string content = file("big", kLarge);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(script->seen[0].header("x-amz-checksum-algorithm"), "CRC32");
  EXPECT_EQ(script->seen[0].header("x-amz-checksum-type"), "FULL_OBJECT");
  const auto input = open_input(directory + "/big", {});
  const auto whole = digest_part(**input, 0, (*input)->bytes(), false, {});
  std::uint32_t joined = 0;
  for (std::int64_t at = 0; at < (*input)->bytes(); at += kPartBytesMin) {
    const auto bytes = std::min(kPartBytesMin, (*input)->bytes() - at);
    joined = crc32_joined(joined, digest_part(**input, at, bytes, false, {})->crc32, bytes);
  }
  EXPECT_EQ(joined, whole->crc32);
  EXPECT_FALSE(script->seen[4].header("x-amz-checksum-crc32").empty());
}

TEST_F(S3, ABucketElsewhereIsFollowedOnce) {
  overridden = false;
  endpoint = {"https", "unused", 443, "/", "", false};
  restart();
  file("a", 10);
  for (const auto& wrong :
       {answer(301, "", {{"x-amz-bucket-region", "eu-west-1"}}),
        refusal(307, "TemporaryRedirect", "<Region>eu-west-1</Region>"),
        refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")}) {
    notes = std::make_shared<FakeNotes>();
    restart();
    script->seen.clear();
    s3.faults = {{"Put", wrong}};
    EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
    ASSERT_EQ(script->seen.size(), 2U);
    EXPECT_EQ(script->seen[1].url, "https://bucket.s3.eu-west-1.amazonaws.com/key");
    EXPECT_NE(script->seen[1].header("Authorization").find("/eu-west-1/s3/"), std::string::npos);
    EXPECT_EQ(deliver(1, task("a")).verdict, Verdict::kDelivered);
    EXPECT_EQ(script->seen.size(), 3U) << "remembered";
  }
}

// destinations.md §8.6 with protocol.md §7.2: every code, and whether the task ends.
TEST_F(S3, EveryRefusalHasItsAction) {
  struct Row {
    int status;
    const char* code;
    Verdict verdict;
    FailureClass failure;
  };
  constexpr auto kRetry = Verdict::kRetry;
  constexpr auto kEnd = Verdict::kRejected;
  const std::vector<Row> rows = {
      {500, "InternalError", kRetry, FailureClass::kTransient},
      {503, "ServiceUnavailable", kRetry, FailureClass::kTransient},
      {400, "RequestTimeout", kRetry, FailureClass::kTransient},
      {400, "BadDigest", kRetry, FailureClass::kTransient},
      {400, "InvalidDigest", kRetry, FailureClass::kTransient},
      {400, "XAmzContentSHA256Mismatch", kRetry, FailureClass::kTransient},
      {409, "OperationAborted", kRetry, FailureClass::kTransient},
      {409, "ConditionalRequestConflict", kRetry, FailureClass::kTransient},
      {503, "SlowDown", kRetry, FailureClass::kThrottle},
      {503, "TooManyRequests", kRetry, FailureClass::kThrottle},
      {429, "", kRetry, FailureClass::kThrottle},
      {400, "ExpiredToken", kRetry, FailureClass::kCredentials},
      {400, "TokenRefreshRequired", kRetry, FailureClass::kCredentials},
      {400, "InvalidToken", kRetry, FailureClass::kCredentials},
      {403, "InvalidAccessKeyId", kRetry, FailureClass::kCredentials},
      {403, "RequestTimeTooSkewed", kRetry, FailureClass::kClock},
      {403, "SignatureDoesNotMatch", kRetry, FailureClass::kOperator},
      {403, "AccessDenied", kEnd, FailureClass::kPoison},
      {403, "AllAccessDisabled", kEnd, FailureClass::kPoison},
      {403, "AccountProblem", kEnd, FailureClass::kPoison},
      {404, "NoSuchBucket", kEnd, FailureClass::kPoison},
      {301, "PermanentRedirect", kEnd, FailureClass::kPoison},
      {400, "KMS.DisabledException", kEnd, FailureClass::kPoison},
      {403, "InvalidObjectState", kEnd, FailureClass::kPoison},
      {400, "InvalidStorageClass", kEnd, FailureClass::kPoison},
      {400, "KeyTooLongError", kEnd, FailureClass::kPoison},
      {400, "EntityTooLarge", kEnd, FailureClass::kPoison},
      {400, "MetadataTooLarge", kEnd, FailureClass::kPoison},
      {400, "InvalidArgument", kEnd, FailureClass::kPoison},
      {400, "MalformedXML", kEnd, FailureClass::kPoison},
      {418, "SomethingNew", kEnd, FailureClass::kPoison},
      {501, "NotImplemented", kEnd, FailureClass::kPoison},
      // Not S3's words: a proxy or a portal on the way.
      {403, "", kRetry, FailureClass::kOperator},
      {407, "", kRetry, FailureClass::kOperator},
      {400, "", kRetry, FailureClass::kOperator},
      {302, "", kRetry, FailureClass::kTransient},
      {502, "", kRetry, FailureClass::kTransient},
  };
  file("a", 10);
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.status) + " " + row.code);
    notes = std::make_shared<FakeNotes>();
    streams = std::make_shared<FakeStreams>();
    restart();
    s3.faults = {{"Put", *row.code == '\0' ? answer(row.status, "<html>no</html>")
                                           : refusal(row.status, row.code)}};
    const auto outcome = deliver(0, task("a"));
    EXPECT_EQ(outcome.verdict, row.verdict) << outcome.error;
    EXPECT_EQ(outcome.failure, row.failure);
    EXPECT_EQ(statuses(), row.verdict == kEnd ? "21" : "2");
    if (row.verdict == kRetry) {
      EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
      EXPECT_EQ(statuses(), "20") << "InProgress is told once";
    }
  }
}

TEST_F(S3, DamageOnTheWayIsTriedAFewTimes) {
  file("a", 10);
  for (int i = 0; i < 3; ++i) s3.faults.push_back({"Put", refusal(400, "BadDigest")});
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRejected);
  EXPECT_EQ(statuses(), "21");
}

TEST_F(S3, APortalThatSaysYesIsNotBelieved) {
  file("a", 10);
  file("big", kLarge);
  s3.faults = {{"Put", answer(200, "<html>log in</html>")}};
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  s3.faults = {{"Create", answer(200, "<html>log in</html>")},
               {"Part", answer(200, "<html>log in</html>")},
               {"Complete", answer(200, "<html>log in</html>")}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kRetry) << i;
  EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kDelivered);
}

TEST_F(S3, BadTasksEndWithTheirReason) {
  file("a", 10);
  const std::vector<std::pair<std::string, std::string>> tasks = {
      {"nonsense", "not JSON"},
      {task("missing"), "does not exist"},
      {task("."), "not a regular file"},
      {task("a", "!{timestamp:b}"), "timestamp pattern"},
      {task("a", "!{date:yyyy}"), "only !{timestamp:pattern}"},
      {R"({"inputUrl":"http://x/a","bucket":"bucket","key":"k"})", "file: URL"},
      {R"({"inputUrl":"/a","bucket":"B","key":"k"})", "name of a bucket"},
  };
  std::int64_t sequence = 0;
  for (const auto& [payload, why] : tasks) {
    EXPECT_EQ(deliver(sequence, payload).verdict, Verdict::kRejected) << payload;
    EXPECT_EQ(statuses(sequence), "1") << payload;
    EXPECT_NE(last_message().find(why), std::string::npos) << last_message();
    ++sequence;
  }
  EXPECT_EQ(deliver(sequence, task("a")).verdict, Verdict::kDelivered) << "the next one goes on";
  EXPECT_EQ(script->seen.size(), 1U);
}

// Two streams may have been made each other's status stream.
TEST_F(S3, AStatusIsNoTaskAndHasNoStatusOfItsOwn) {
  EXPECT_EQ(deliver(0, "nonsense").verdict, Verdict::kRejected);
  ASSERT_EQ(streams->told["status"].size(), 1U);
  const std::string status = streams->told["status"].back();
  const Outcome outcome = deliver(1, status);
  EXPECT_EQ(outcome.verdict, Verdict::kRejected);
  EXPECT_NE(outcome.error.find("the status of a task"), std::string::npos) << outcome.error;
  EXPECT_EQ(deliver(2, "{\"weirDeadLetter\":1,\"stream\":\"uploads\"}\nnonsense").verdict,
            Verdict::kRejected);
  EXPECT_EQ(streams->told["status"].size(), 1U);

  exporter::Farewell farewell{Batch("uploads", "s3"), 0, notes->text};
  farewell.pending.add(SequenceNumber(3), clock.wall_ms(), as_bytes(status));
  destination->farewell(farewell, {});
  EXPECT_EQ(streams->told["status"].size(), 1U);
}

TEST_F(S3, LevelsDecideWhatIsTold) {
  file("a", 10);
  const auto told_at = [&](model::StatusLevel at, const std::string& name) {
    level = at;
    streams = std::make_shared<FakeStreams>();
    notes = std::make_shared<FakeNotes>();
    restart();
    s3.faults = {{"Put", refusal(503, "SlowDown")}};
    static_cast<void>(deliver(0, task(name)));
    static_cast<void>(deliver(0, task(name)));
    s3.faults.clear();
    return statuses();
  };
  EXPECT_EQ(told_at(model::StatusLevel::kError, "a"), "");
  EXPECT_EQ(told_at(model::StatusLevel::kError, "missing"), "1") << "asked for twice";
  EXPECT_EQ(told_at(model::StatusLevel::kInfo, "a"), "20");
  EXPECT_EQ(told_at(model::StatusLevel::kDebug, "a"), "220");
  status_stream = "";
  EXPECT_EQ(told_at(model::StatusLevel::kTrace, "a"), "");
}

TEST_F(S3, ATaskPastItsTimeToLiveIsNotBegun) {
  file("a", 10);
  streams->ttl_ms = 1000;
  Batch batch("uploads", "s3");
  const std::string payload = task("a");
  batch.add(SequenceNumber(0), clock.wall_ms() - 1001, as_bytes(payload));
  EXPECT_EQ(destination->deliver(batch, {}).verdict, Verdict::kRejected);
  EXPECT_EQ(statuses(), "4");
  EXPECT_TRUE(script->seen.empty());
  EXPECT_EQ(deliver(1, payload).verdict, Verdict::kDelivered);
}

TEST_F(S3, AMissingOrFullStatusStreamHoldsNothingUp) {
  file("a", 10);
  for (const Errc code : {Errc::kNotFound, Errc::kFull, Errc::kIo}) {
    streams->refuse = Error{code, "no", 0};
    notes->text.clear();
    restart();
    EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  }
  EXPECT_TRUE(streams->told["status"].empty());
}

TEST_F(S3, AShrinkingFileFailsItsTask) {
  file("big", kLarge);
  script->answer = [this](const SeenRequest& request) {
    std::filesystem::resize_file(directory + "/big", 6'000'000);
    return s3(request);
  };
  const auto outcome = deliver(0, task("big"));
  EXPECT_EQ(outcome.verdict, Verdict::kRejected) << outcome.error;
  EXPECT_EQ(statuses(), "21");
  EXPECT_TRUE(s3.uploads.empty()) << "its parts are removed";
}

// A log: there is more of it each time somebody looks.
TEST_F(S3, AGrowingFileIsUploadedUpToTheSizeItHad) {
  const std::string content = file("log", kLarge);
  int requests = 0;
  script->answer = [&](const SeenRequest& request) {
    write_into("log", "line\n", std::ios::app);
    return ++requests % 3 == 0 ? refusal(503, "SlowDown") : s3(request);
  };
  int tries = 1;
  while (deliver(0, task("log")).verdict == Verdict::kRetry) ASSERT_LT(++tries, 10);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 3) << "none again";
  EXPECT_EQ(statuses(), "20");
}

TEST_F(S3, AFileThatHasGrownSinceARestartKeepsItsParts) {
  const std::string content = file("log", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("log")).verdict, Verdict::kRetry);
  write_into("log", "line\n", std::ios::app);
  restart();
  EXPECT_EQ(deliver(0, task("log")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 3);
}

TEST_F(S3, AFileRewrittenInPlaceIsNotTorn) {
  file("big", kLarge);
  const std::string content(kLarge, 'x');
  int parts = 0;
  script->answer = [&](const SeenRequest& request) {
    if (request.method == "PUT" && ++parts == 2) write_into("big", content);
    return s3(request);
  };
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_EQ(parts, 5) << "the two that were sent before it changed, once more";
}

TEST_F(S3, AFileThatIsOnlyTouchedIsNotSentAgain) {
  const std::string content = file("big", kLarge);
  int parts = 0;
  script->answer = [&](const SeenRequest& request) {
    if (request.method == "PUT" && ++parts == 2) write_into("big", "");
    return s3(request);
  };
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(parts, 3);
}

TEST_F(S3, AFileThatNeverStandsStillFailsItsTask) {
  file("ring", kLarge);
  int parts = 0;
  script->answer = [&](const SeenRequest& request) {
    if (request.method == "PUT") write_into("ring", "round " + std::to_string(++parts));
    return s3(request);
  };
  EXPECT_EQ(deliver(0, task("ring")).verdict, Verdict::kRejected);
  EXPECT_EQ(statuses(), "21");
  EXPECT_NE(last_message().find("changed again and again"), std::string::npos) << last_message();
  EXPECT_TRUE(s3.uploads.empty());
  EXPECT_LE(parts, 7);
}

// It was opened; what takes its name, or that nothing does, is of no concern any more.
TEST_F(S3, AFileThatIsReplacedMeanwhileIsUploadedAsItWas) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Part", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  file("next", 10);
  std::filesystem::rename(directory + "/next", directory + "/big");
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, APartialUploadThatCannotBeRemovedIsAWarning) {
  file("big", kLarge);
  s3.faults = {{"Part", refusal(403, "AccessDenied")}, {"Abort", refusal(403, "AccessDenied")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRejected);
  EXPECT_EQ(statuses(), "231");
}

TEST_F(S3, PartsAreRemovedAsSoonAsS3HasTimeForIt) {
  file("big", kLarge);
  s3.faults = {{"Part", refusal(403, "AccessDenied")},
               {"Abort", refusal(503, "SlowDown")},
               {"Abort", testing::no_answer("reset")}};
  const auto outcome = deliver(0, task("big"));
  EXPECT_EQ(outcome.verdict, Verdict::kRetry);
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
  EXPECT_NE(outcome.error.find("cannot be removed yet"), std::string::npos) << outcome.error;
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRejected);
  EXPECT_TRUE(s3.uploads.empty());
  EXPECT_EQ(statuses(), "21");
  EXPECT_NE(last_message().find("AccessDenied"), std::string::npos) << last_message();
}

TEST_F(S3, PartsThatStayAreAWarningInTheEnd) {
  file("big", kLarge);
  s3.faults = {{"Part", refusal(403, "AccessDenied")}};
  for (int i = 0; i < 5; ++i) s3.faults.push_back({"Abort", refusal(503, "SlowDown")});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry) << i;
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRejected);
  EXPECT_EQ(statuses(), "231");
}

TEST_F(S3, PartsOfAnotherTaskHoldUpTheNextOneAFewTimesOnly) {
  file("a", 10);
  file("big", kLarge);
  std::int64_t sequence = 0;
  for (const int refused : {2, 5}) {
    sequence += 10;
    s3 = {};
    s3.faults = {{"Complete", refusal(503, "SlowDown")}};
    EXPECT_EQ(deliver(sequence, task("big")).verdict, Verdict::kRetry);
    restart();
    for (int i = 0; i < refused; ++i) s3.faults.push_back({"Abort", refusal(503, "SlowDown")});
    int tries = 1;
    while (deliver(sequence + 5, task("a", "other")).verdict == Verdict::kRetry)
      ASSERT_LT(++tries, 10);
    EXPECT_EQ(tries, std::min(refused + 1, 5));
    EXPECT_EQ(s3.uploads.empty(), refused == 2);
  }
}

TEST_F(S3, RemovalTellsOfTasksWhateverBecomesOfParts) {
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  for (int i = 0; i < 9; ++i) s3.faults.push_back({"Abort", refusal(503, "SlowDown")});
  exporter::Farewell farewell{Batch("uploads", "s3"), 0, notes->text};
  const std::string payload = task("big");
  farewell.pending.add(SequenceNumber(0), clock.wall_ms(), as_bytes(payload));
  destination->farewell(farewell, {});
  EXPECT_EQ(statuses(), "243");
  EXPECT_EQ(s3.faults.size(), 4U);
}

TEST_F(S3, TwoHundredWithAnErrorIsNoSuccess) {
  file("big", kLarge);
  s3.faults = {{"Complete", answer(200, "   \n<Error><Code>InternalError</Code></Error>")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 3) << "none again";
}

TEST_F(S3, ALostAnswerToCompleteIsLookedInto) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Complete", testing::no_answer("reset"), true}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, ALostAnswerToCompleteIsAboutWhatWasSent) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Complete", testing::no_answer("reset"), true}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(s3.uploads.size(), 0U);
  write_into("big", "other");
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

// An answer to HEAD has no body: what it means is guessed from its status.
TEST_F(S3, WhetherTheObjectIsThereIsAskedUntilItIsSaid) {
  file("big", kLarge);
  std::int64_t sequence = 0;
  for (const int status : {400, 429, 500, 503, 403, 404}) {
    SCOPED_TRACE(status);
    s3 = {};
    s3.faults = {{"Complete", testing::no_answer("reset"), true}, {"Head", answer(status)}};
    EXPECT_EQ(deliver(sequence, task("big")).verdict, Verdict::kRetry);
    EXPECT_EQ(deliver(sequence, task("big")).verdict, Verdict::kRetry);
    EXPECT_EQ(deliver(sequence, task("big")).verdict, Verdict::kDelivered);
    const bool says_absent = status == 403 || status == 404;
    EXPECT_EQ(s3.begun, says_absent ? 2 : 1) << "it was there, seen or not";
    ++sequence;
  }
}

TEST_F(S3, AnUploadThatExpiredBeginsAgain) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Complete", refusal(404, "NoSuchUpload")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 2);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, AMissingPartIsFoundAndSentAgain) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Complete", refusal(400, "InvalidPart")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  s3.uploads.at("u1").parts.erase(2);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 4);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, AnotherProcessGoesOnWithTheParts) {
  const std::string content = file("big", kLarge);
  s3.faults = {{"Part", refusal(503, "SlowDown")}};
  s3.faults.push_front({"Create", answer(0)});  // nothing: the first try never reached S3
  s3.faults.front().instead = testing::no_answer("reset");
  EXPECT_EQ(deliver(0, task("big", "!{timestamp:HH}")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big", "!{timestamp:HH}")).verdict, Verdict::kRetry);
  clock.advance(std::chrono::hours(1));
  restart();
  EXPECT_EQ(deliver(0, task("big", "!{timestamp:HH}")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_EQ(s3.objects.size(), 1U) << "the key of the first try";
  EXPECT_TRUE(s3.objects.begin()->second == content);
  EXPECT_EQ(statuses(), "220") << "InProgress once for each run";
}

TEST_F(S3, WhereETagsTellNothingChecksumsDo) {
  overridden = false;
  path_style = true;
  endpoint = {"https", "unused", 443, "/", "", false};
  const std::string content = file("big", kLarge);
  s3.encrypts = true;
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  restart();
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  restart();
  s3.uploads.at("u1").parts[2] = std::string(s3.uploads.at("u1").parts[2].size(), 'x');
  s3.faults = {{"Complete", testing::no_answer("reset"), true}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 4)
      << "only the part that is not what the file holds";
  restart();
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1) << "and the object that is complete is recognised";
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, AFileThatChangedMeanwhileIsUploadedAnew) {
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  const std::string content(kLarge + 5, 'x');
  write_into("big", content);
  restart();
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
  EXPECT_EQ(s3.begun, 2);
  EXPECT_TRUE(s3.uploads.empty()) << "the first one was aborted";
}

// After each request and each saved note the process dies, and another one is given the task.
TEST_F(S3, WhereverItDiesTheObjectIsWholeAndOneEndIsTold) {
  const std::string content = file("big", kLarge);
  for (int die_at = 0;; ++die_at) {
    SCOPED_TRACE(die_at);
    s3 = {};
    notes = std::make_shared<FakeNotes>();
    streams = std::make_shared<FakeStreams>();
    restart();
    // From the chosen request on nothing goes through any more; every second death loses an answer
    // to a request that was done.
    int requests = 0;
    script->answer = [&](const SeenRequest& request) {
      const int number = requests++;
      if (number > die_at / 2 || (number == die_at / 2 && die_at % 2 == 0)) {
        return testing::no_answer("dead");
      }
      HttpResponse response = s3(request);
      return number == die_at / 2 ? testing::no_answer("dead") : response;
    };
    const bool lived = deliver(0, task("big")).verdict == Verdict::kDelivered;
    script->answer = [this](const SeenRequest& request) { return s3(request); };
    restart();
    for (int tries = 0; tries < 3; ++tries) {
      if (deliver(0, task("big")).verdict == Verdict::kDelivered) break;
    }
    EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
    const std::string told = statuses();
    EXPECT_EQ(std::count(told.begin(), told.end(), '0'), 1) << told;
    EXPECT_TRUE(told.ends_with('0')) << told;
    if (lived) break;
    ASSERT_LT(die_at, 20);
  }
}

TEST_F(S3, AnEndThatWasToldIsNotToldAgain) {
  file("a", 10);
  streams->cancel_after = 1;  // the second status, Success, is appended, but nobody hears of it
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRetry);
  EXPECT_EQ(statuses(), "20");
  restart();
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(), "20");
  EXPECT_EQ(script->seen.size(), 1U) << "nor is the file uploaded again";
}

TEST_F(S3, AnEndThatWasNotToldIsToldAfterTheRestart) {
  file("a", 10);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  streams->told["status"].pop_back();
  restart();
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(), "20");
  EXPECT_EQ(script->seen.size(), 1U);
}

// Whoever hears of failures only removes a file once it is in its bucket.
TEST_F(S3, WhatEndedWithoutAWordIsNotDoneAgain) {
  for (const bool heard : {true, false}) {
    level = model::StatusLevel::kError;
    status_stream = heard ? "status" : "";
    notes = std::make_shared<FakeNotes>();
    script->seen.clear();
    restart();
    file("a", 10);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
    std::filesystem::remove(directory + "/a");
    restart();  // the position was last saved before the first
    for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
    EXPECT_EQ(script->seen.size(), 3U);
    EXPECT_TRUE(streams->told["status"].empty());
  }
}

TEST_F(S3, TasksBeforeTheNotedOneAreDone) {
  file("a", 10);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  restart();  // the position was last saved before task 1
  for (int i = 1; i < 4; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(script->seen.size(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(statuses(i), "20") << i;
}

TEST_F(S3, GoingBackInTheSameRunDoesTasksAgain) {
  file("a", 10);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(0), "2020");
}

TEST_F(S3, GoingBackBeforeARestartDoesTasksAgainToo) {
  file("a", 10);
  file("big", kLarge);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(2, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(s3.uploads.size(), 1U);
  notes->text = exporter::kMovedMark + notes->text;
  restart();
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(0), "2020");
  EXPECT_TRUE(s3.uploads.empty()) << "what was begun for another task is taken away";
}

TEST_F(S3, GoingBackAfterARestartDoesTasksAgainToo) {
  file("a", 10);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  restart();
  EXPECT_EQ(deliver(1, task("a")).verdict, Verdict::kDelivered) << "done by the earlier process";
  notes->text = exporter::kMovedMark + notes->text;
  destination->moved();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(deliver(i, task("a")).verdict, Verdict::kDelivered);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(statuses(i), "2020") << i;
}

TEST_F(S3, GoingBackFromATaskUnderWayAbortsItsUpload) {
  file("a", 10);
  file("big", kLarge);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kRetry);
  destination->moved();
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.uploads.empty());
  EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(1), "220");
}

TEST_F(S3, ATaskThatFailedIsDoneAgainWhenSomebodyGoesBackToIt) {
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kRejected);
  file("late", 10);
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kRejected) << "by itself it is not";
  destination->moved();
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(), "120");
}

TEST_F(S3, ATaskThatBlocksIsDoneAgainWhenSomebodyAsks) {
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kRejected);
  restart();
  file("late", 10);
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kRejected) << "its end was told";
  destination->forgive_refusals();
  EXPECT_EQ(deliver(0, task("late")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(), "120");
}

TEST_F(S3, AnUploadGoesOnWhereSomebodyMerelyAsksToTryNow) {
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  destination->forgive_refusals();
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1);
}

TEST_F(S3, AnUploadOfATaskThatWasLeftIsAborted) {
  file("a", 10);
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(s3.uploads.size(), 1U);
  restart();
  EXPECT_EQ(deliver(5, task("a", "other")).verdict, Verdict::kDelivered);
  EXPECT_TRUE(s3.uploads.empty());
}

// The export is removed: what is left of it is told.
TEST_F(S3, RemovalCancelsTheRunningTaskAndTheOnesBehindIt) {
  file("a", 10);
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("a", "first")).verdict, Verdict::kDelivered);
  EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kRetry);
  for (const bool another_process : {false, true}) {
    if (another_process) {
      restart();
      s3.uploads["u1"] = {"/bucket/key", {}};
      streams = std::make_shared<FakeStreams>();
      restart();
    }
    exporter::Farewell farewell{Batch("uploads", "s3"), 7, notes->text};
    const std::string kept = notes->text;
    for (std::int64_t i = 0; i < 3; ++i) {
      const std::string payload = task("a");
      farewell.pending.add(SequenceNumber(i), clock.wall_ms(), as_bytes(payload));
    }
    destination->farewell(farewell, {});
    EXPECT_TRUE(s3.uploads.empty()) << "aborted";
    EXPECT_EQ(notes->text, "");
    EXPECT_EQ(statuses(1), another_process ? "4" : "24");
    EXPECT_EQ(statuses(2), "4");
    EXPECT_EQ(statuses(0), another_process ? "" : "20") << "done before";
    notes->text = kept;
  }
}

TEST_F(S3, RemovalTellsOfTheTaskUnderWayHoweverManyWaitBehindIt) {
  file("a", 10);
  file("big", kLarge);
  for (const bool another_process : {false, true}) {
    s3 = {};
    streams = std::make_shared<FakeStreams>();
    notes = std::make_shared<FakeNotes>();
    restart();
    EXPECT_EQ(deliver(4, task("a")).verdict, Verdict::kDelivered);
    s3.faults = {{"Complete", refusal(503, "SlowDown")}};
    EXPECT_EQ(deliver(5, task("big")).verdict, Verdict::kRetry);
    if (another_process) restart();
    exporter::Farewell farewell{Batch("uploads", "s3"), 2000, notes->text};
    const std::string payload = task("a");
    farewell.pending.add(SequenceNumber(4), clock.wall_ms(), as_bytes(payload));
    farewell.pending.add(SequenceNumber(2005), clock.wall_ms(), as_bytes(payload));
    destination->farewell(farewell, {});
    EXPECT_EQ(statuses(4), "20");
    EXPECT_EQ(statuses(5), "24");
    EXPECT_EQ(statuses(2005), "4");
    EXPECT_TRUE(s3.uploads.empty());
  }
}

TEST_F(S3, RemovalTellsEvenWhereTheUploadCannotBeAborted) {
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}, {"Abort", refusal(403, "AccessDenied")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  destination->farewell({Batch("uploads", "s3"), 0, {}}, {});
  EXPECT_EQ(statuses(), "243");
}

TEST_F(S3, ARemovalThatIsInterruptedSaysWhatIsLeft) {
  static std::string said;
  said.clear();
  log::capture([](log::Level, const std::string& line) { said += line + "\n"; });
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  std::stop_source stop;
  stop.request_stop();
  exporter::Farewell farewell{Batch("uploads", "s3"), 0, {}};
  const std::string payload = task("big");
  farewell.pending.add(SequenceNumber(0), clock.wall_ms(), as_bytes(payload));
  farewell.pending.add(SequenceNumber(1), clock.wall_ms(), as_bytes(payload));
  destination->farewell(farewell, stop.get_token());
  log::capture(nullptr);
  EXPECT_THAT(said, ::testing::HasSubstr("tasks=2"));
  EXPECT_THAT(said, ::testing::HasSubstr("bucket=bucket key=key upload=u1"));
}

// Retention took it, or somebody moved the export beyond it.
TEST_F(S3, ATaskUnderWayThatWillNotComeAgainIsCanceled) {
  file("big", kLarge);
  for (const bool another_process : {false, true}) {
    for (const bool moved : {false, true}) {
      SCOPED_TRACE(another_process ? "another process" : "the same process");
      SCOPED_TRACE(moved ? "moved" : "removed");
      s3 = {};
      streams = std::make_shared<FakeStreams>();
      notes = std::make_shared<FakeNotes>();
      restart();
      s3.faults = {{"Complete", refusal(503, "SlowDown")}};
      EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
      if (another_process) restart();
      if (moved) destination->moved();
      destination->passed(SequenceNumber(0), {});
      EXPECT_EQ(statuses(), "2") << "not beyond it";
      for (int i = 0; i < 2; ++i) destination->passed(SequenceNumber(1), {});
      EXPECT_EQ(statuses(), "24");
      EXPECT_TRUE(s3.uploads.empty());
      EXPECT_EQ(deliver(1, task("big")).verdict, Verdict::kDelivered);
      restart();
      EXPECT_EQ(deliver(2, task("big")).verdict, Verdict::kDelivered);
      EXPECT_EQ(statuses(), "24");
      EXPECT_EQ(statuses(1), "20");
    }
  }
}

TEST_F(S3, TheNextTaskCancelsTheOneThatWasUnderWayToo) {
  file("a", 10);
  s3.faults = {{"Put", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kRetry);
  restart();
  EXPECT_EQ(deliver(3, task("a")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(0), "24");
  EXPECT_EQ(statuses(3), "20");
}

TEST_F(S3, AnEndThatCouldNotBeNotedIsNotContradicted) {
  file("big", kLarge);
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  const std::string before = notes->text;
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  notes->text = before;
  restart();
  destination->passed(SequenceNumber(1), {});
  EXPECT_EQ(statuses(), "20");
}

TEST_F(S3, ATaskWhoseSuccessIsNotToldIsNotCanceledByARemoval) {
  level = model::StatusLevel::kWarn;
  restart();
  file("a", 10);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  exporter::Farewell farewell{Batch("uploads", "s3"), 0, {}};
  const std::string payload = task("a");
  farewell.pending.add(SequenceNumber(0), clock.wall_ms(), as_bytes(payload));
  farewell.pending.add(SequenceNumber(1), clock.wall_ms(), as_bytes(payload));
  destination->farewell(farewell, {});
  EXPECT_EQ(statuses(0), "");
  EXPECT_EQ(statuses(1), "4");
}

TEST_F(S3, ATaskWhoseEndIsNotToldIsNotTakenForOneUnderWay) {
  level = model::StatusLevel::kWarn;
  file("big", kLarge);
  restart();
  s3.faults = {{"Complete", refusal(503, "SlowDown")}};
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kRetry);
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  restart();
  destination->passed(SequenceNumber(4), {});
  EXPECT_EQ(deliver(4, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(statuses(0), "");
}

TEST_F(S3, ATaskThatEndedIsNotCanceledAsWell) {
  file("a", 10);
  EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered);
  restart();
  exporter::Farewell farewell{Batch("uploads", "s3"), 0, notes->text};
  const std::string payload = task("a");
  farewell.pending.add(SequenceNumber(0), clock.wall_ms(), as_bytes(payload));
  destination->farewell(farewell, {});
  EXPECT_EQ(statuses(), "20");
}

TEST_F(S3, AStopIsHonouredAndTheTaskGoesOnLater) {
  const std::string content = file("big", kLarge);
  std::stop_source stop;
  script->answer = [&](const SeenRequest& request) {
    if (s3.operations.size() == 2) stop.request_stop();
    return s3(request);
  };
  EXPECT_EQ(deliver(0, task("big"), stop.get_token()).verdict, Verdict::kRetry);
  EXPECT_LE(s3.operations.size(), 4U);
  restart();
  EXPECT_EQ(deliver(0, task("big")).verdict, Verdict::kDelivered);
  EXPECT_EQ(s3.begun, 1);
  EXPECT_TRUE(s3.objects.at("/bucket/key") == content);
}

TEST_F(S3, AnUnreadableNoteIsForgotten) {
  file("a", 10);
  for (const char* text : {"nonsense", "{}", R"({"v":2,"task":0})", R"({"v":1,"task":"x"})",
                           R"({"v":1,"task":0,"upload":{"id":"x"}})"}) {
    notes->text = text;
    restart();
    EXPECT_EQ(deliver(0, task("a")).verdict, Verdict::kDelivered) << text;
  }
}

TEST_F(S3, PartsAreAsLargeAsTheyMustBe) {
  constexpr std::int64_t kMiB = 1 << 20;
  EXPECT_EQ(part_bytes_for(6 * kMiB, kPartBytesMin), 5 * kMiB);
  EXPECT_EQ(part_bytes_for(50'000 * kMiB, kPartBytesMin), 5 * kMiB);
  EXPECT_EQ(part_bytes_for(50'000 * kMiB + 1, kPartBytesMin), 6 * kMiB);
  EXPECT_EQ(part_bytes_for(6 * kMiB, 8'000'000), 8'000'000);
  const std::int64_t huge = 10LL << 40;
  EXPECT_LE((huge + part_bytes_for(huge, 0) - 1) / part_bytes_for(huge, 0), kPartsMax);
}

// What curl would do: it is the source that decides about memory, not the file.
// That it needs no memory of its own is looked at from outside, end to end.
TEST_F(S3, AHugeSparseFileGoesOutInParts) {
  std::ofstream(directory + "/sparse").close();
  std::filesystem::resize_file(directory + "/sparse", 64LL << 20);
  script->answer = [this](const SeenRequest& request) {
    SeenRequest light = request;
    light.body = std::to_string(request.body.size());
    return s3(light);
  };
  // The parts' ETags are not their MD5 then; nothing depends on it in one go.
  EXPECT_EQ(deliver(0, task("sparse")).verdict, Verdict::kDelivered);
  EXPECT_EQ(std::count(s3.operations.begin(), s3.operations.end(), "Part"), 13);
}

}  // namespace
}  // namespace weir::destination::s3
