#include "destination/firehose/destination.h"

#include "destination/firehose/request.h"
#include "destination/testing/scripted_client.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

namespace weir::destination::firehose {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;
using testing::answer;
using testing::batch_of;
using testing::from_base64;
using testing::refusal;
using testing::Script;
using testing::SeenRequest;
using testing::verdicts;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

// A stand-in for the service: stores what it accepts, refuses what the test says.
class FakeFirehose {
 public:
  HttpResponse operator()(const SeenRequest& request) {
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body.at("DeliveryStreamName"), "lake");
    targets.push_back(request.header("X-Amz-Target"));
    if (body.contains("Record")) return put_record(from_base64(body["Record"]["Data"]));
    calls.push_back(body.at("Records").size());
    std::size_t bytes = 0;
    for (const Json& record : body.at("Records")) {
      const std::string data = from_base64(record.at("Data"));
      EXPECT_LE(data.size(), 1'024'000U);
      bytes += data.size();
      if (refuses && refuses(data)) return refusal(400, "InvalidArgumentException", "a record");
    }
    EXPECT_LE(bytes, 4U << 20U);
    Json results = Json::array();
    for (const Json& record : body.at("Records")) {
      const std::string data = from_base64(record.at("Data"));
      if (fails && fails(data)) {
        results.push_back({{"ErrorCode", failing_code}, {"ErrorMessage", "Slow down."}});
      } else {
        stored.push_back(data);
        results.push_back({{"RecordId", std::to_string(stored.size())}});
      }
    }
    return answer(200, Json{{"FailedPutCount", 0}, {"RequestResponses", results}}.dump());
  }

  Lines stored;
  std::vector<std::size_t> calls;
  Lines targets;
  std::function<bool(const std::string&)> fails;
  std::function<bool(const std::string&)> refuses;
  std::string failing_code = "ServiceUnavailableException";

 private:
  HttpResponse put_record(const std::string& data) {
    if (fails && fails(data)) return refusal(503, failing_code);
    if (refuses && refuses(data)) return refusal(400, "InvalidArgumentException");
    stored.push_back(data);
    return answer(200, R"({"RecordId":"1","Encrypted":false})");
  }
};

class FirehoseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    script->answer = [this](const SeenRequest& request) { return service(request); };
  }
  FirehoseDestination& destination() {
    if (!made) {
      made = std::make_unique<FirehoseDestination>(
          FirehoseDestination::Setup{
              "lake", options,
              testing::scripted_client({"firehose", "firehose", "firehose", read_error}, script,
                                       clock, metrics)},
          metrics);
    }
    return *made;
  }
  Outcome deliver(const Lines& payloads) { return destination().deliver(batch_of(payloads), {}); }

  ManualClock clock;
  metrics::Registry metrics;
  FirehoseOptions options;
  FakeFirehose service;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::unique_ptr<FirehoseDestination> made;
};

TEST_F(FirehoseTest, DeliversABatchInOneCallAndDelimitsMessages) {
  EXPECT_EQ(verdicts(deliver({"a", "b\n", "", std::string("\0\xff", 2)})), "all d");
  EXPECT_EQ(service.stored, (Lines{"a\n", "b\n", "\n", std::string("\0\xff\n", 3)}));
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{4}));
  EXPECT_EQ(service.targets, Lines{"Firehose_20150804.PutRecordBatch"});
}

TEST_F(FirehoseTest, WithoutADelimiterMessagesGoAsTheyAre) {
  options.delimiter = "";
  EXPECT_EQ(verdicts(deliver({"a", "b\n"})), "all d");
  EXPECT_EQ(service.stored, (Lines{"a", "b\n"}));
}

TEST_F(FirehoseTest, FailedRecordsAreReportedOneByOne) {
  service.fails = [](const std::string& data) { return data == "b\n" || data == "d\n"; };
  const Outcome outcome = deliver({"a", "b", "c", "d", "e"});
  EXPECT_EQ(verdicts(outcome), "drdrd");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle) << "503 stands for slow down here";
  EXPECT_NE(outcome.records[1].reason.find("Slow down."), std::string::npos);
  service.failing_code = "InternalFailure";
  EXPECT_EQ(deliver({"b"}).failure, FailureClass::kTransient);
}

TEST_F(FirehoseTest, CallsStayBelowTheirLimits) {
  EXPECT_EQ(verdicts(deliver(Lines(1200, "x"))), "all d");
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{500, 500, 200}));
  service.calls.clear();
  EXPECT_EQ(verdicts(deliver(Lines(9, std::string(1'000'000, 'y')))), "all d");
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{4, 4, 1}));
}

TEST_F(FirehoseTest, WhatCannotFitIsNeverSent) {
  EXPECT_EQ(verdicts(deliver({"a", std::string(1'024'000, 'x'), std::string(1'023'999, 'y')})),
            "dxd");
  options.delimiter = "";
  made.reset();
  EXPECT_EQ(verdicts(deliver({std::string(1'024'000, 'x'), std::string(1'024'001, 'y')})), "dx");
}

TEST_F(FirehoseTest, PackedMessagesShareARecordAndItsFate) {
  options.packing = true;
  options.packing_bytes_max = 8;
  EXPECT_EQ(destination().limits().messages_max, 20'000);
  service.fails = [](const std::string& data) { return data.starts_with("ccc"); };
  EXPECT_EQ(verdicts(deliver({"aaa", "bbb", "ccc", "ddd", "eee"})), "ddrrd");
  EXPECT_EQ(service.stored, (Lines{"aaa\nbbb\n", "eee\n"}));
}

TEST_F(FirehoseTest, AMessageLargerThanAPackGoesAlone) {
  options.packing = true;
  options.packing_bytes_max = 8;
  EXPECT_EQ(verdicts(deliver({"a", "0123456789", "b", "c"})), "all d");
  EXPECT_EQ(service.stored, (Lines{"a\n", "0123456789\n", "b\nc\n"}));
}

TEST_F(FirehoseTest, PacksAreFilledToTheLimitOfARecord) {
  options.packing = true;
  EXPECT_EQ(verdicts(deliver(Lines(3000, std::string(999, 'p')))), "all d");
  ASSERT_EQ(service.stored.size(), 3U);
  EXPECT_EQ(service.stored[0].size(), 1'024'000U);
}

TEST_F(FirehoseTest, ARefusedPackIsDividedUntilThePoisonIsAlone) {
  options.packing = true;
  service.refuses = [](const std::string& data) {
    return data.find("poison") != std::string::npos;
  };
  for (std::size_t at = 0; at < 9; ++at) {
    service.stored.clear();
    Lines messages(9, "m");
    messages[at] = "poison";
    std::string expected(9, 'd');
    expected[at] = 'x';
    EXPECT_EQ(verdicts(deliver(messages)), expected);
    std::string all;
    for (const auto& record : service.stored) all += record;
    EXPECT_EQ(all.size(), 16U) << "each of the others exactly once";
  }
}

TEST_F(FirehoseTest, CompressedRecordsBehindEachOtherAreOneStream) {
  options.packing = true;
  options.packing_bytes_max = 2000;
  options.compression = Compression::kGzip;
  const std::string line(600, 'z');
  EXPECT_EQ(verdicts(deliver({line, line, line, line})), "all d");
  ASSERT_GE(service.stored.size(), 2U);
  std::string file;
  for (const auto& record : service.stored) file += record;
  z_stream stream{};
  ASSERT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string plain(10'000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(file.data());
  stream.avail_in = static_cast<uInt>(file.size());
  stream.next_out = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_out = static_cast<uInt>(plain.size());
  while (inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in > 0) inflateReset(&stream);
  plain.resize(plain.size() - stream.avail_out);
  inflateEnd(&stream);
  EXPECT_EQ(plain, line + "\n" + line + "\n" + line + "\n" + line + "\n");
}

TEST_F(FirehoseTest, StrictSendsOneByOneAndStopsAtTheFirstFailure) {
  options.ordering = Ordering::kStrict;
  service.fails = [](const std::string& data) { return data == "c\n"; };
  const Outcome outcome = deliver({"a", "b", "c", "d"});
  EXPECT_EQ(verdicts(outcome), "ddrr");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
  EXPECT_EQ(service.targets, Lines(3, "Firehose_20150804.PutRecord"));
  service.fails = nullptr;
  service.refuses = [](const std::string& data) { return data == "c\n"; };
  EXPECT_EQ(verdicts(deliver({"c", "d"})), "xd");
}

TEST_F(FirehoseTest, OnlyAWholeAndSensibleAnswerIsASuccess) {
  for (const char* body :
       {"", "{}", "<html>", R"({"RequestResponses":{}})", R"({"RequestResponses":[]})",
        R"({"RequestResponses":[{"RecordId":"1"},{"RecordId":"2"}]})",
        R"({"RequestResponses":[{}]})", R"({"RequestResponses":[{"RecordId":1}]})",
        R"({"RequestResponses":[{"RecordId":"1"}]} x)",
        R"({"RequestResponses":[{"RecordId":"1"}],"RequestResponses":[{"RecordId":"1"}]})"}) {
    script->answer = [&](const SeenRequest&) { return answer(200, body); };
    const Outcome outcome = deliver({"a"});
    EXPECT_EQ(verdicts(outcome), "r") << body;
    EXPECT_EQ(outcome.failure, FailureClass::kTransient) << body;
  }
}

// destinations.md §2 and §5: what the service would answer, and what is made of it.
TEST_F(FirehoseTest, EveryRowOfTheErrorTable) {
  struct Row {
    int status;
    const char* code;
    FailureClass failure;
    const char* verdict;
  };
  for (const Row& row : {
           Row{503, "ServiceUnavailableException", FailureClass::kThrottle, "all r"},
           Row{400, "ThrottlingException", FailureClass::kThrottle, "all r"},
           Row{400, "LimitExceededException", FailureClass::kThrottle, "all r"},
           Row{500, "InternalFailure", FailureClass::kTransient, "all r"},
           Row{503, "", FailureClass::kTransient, "all r"},
           Row{400, "ResourceNotFoundException", FailureClass::kOperator, "all r"},
           Row{400, "InvalidKMSResourceException", FailureClass::kOperator, "all r"},
           Row{400, "InvalidSourceException", FailureClass::kOperator, "all r"},
           Row{400, "AccessDeniedException", FailureClass::kOperator, "all r"},
           Row{400, "InvalidArgumentException", FailureClass::kPoison, "x"},
           Row{400, "ValidationException", FailureClass::kPoison, "x"},
           Row{413, "", FailureClass::kPoison, "x"},
           Row{400, "SerializationException", FailureClass::kBug, "all r"},
           Row{400, "ExpiredTokenException", FailureClass::kCredentials, "all r"},
       }) {
    script->answer = [&](const SeenRequest&) { return refusal(row.status, row.code, "words"); };
    const Outcome outcome = deliver({"a"});
    EXPECT_EQ(verdicts(outcome), row.verdict) << row.code;
    EXPECT_EQ(outcome.failure, row.failure) << row.code;
  }
}

TEST_F(FirehoseTest, ADeliveryStreamThatTakesNoRecordsIsNotTheFaultOfTheRecords) {
  for (const char* code : {"InvalidArgumentException", "ValidationException"}) {
    for (const char* words :
         {"This operation is not permitted on KinesisStreamAsSource delivery stream type.",
          "This operation is not supported for this delivery stream type.",
          "PutRecordBatch is not permitted here.",
          "1 validation error detected: Value 'a b' at 'deliveryStreamName' failed to satisfy "
          "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"}) {
      script->seen.clear();
      script->answer = [&](const SeenRequest&) { return refusal(400, code, words); };
      const Outcome outcome = deliver({"a", "b", "c"});
      EXPECT_EQ(verdicts(outcome), "all r") << code << words;
      EXPECT_EQ(outcome.failure, FailureClass::kOperator) << code << words;
      EXPECT_EQ(script->seen.size(), 1U) << "nothing to look for among the records";
    }
  }
  script->answer = [](const SeenRequest&) {
    return refusal(400, "InvalidArgumentException",
                   "1 validation error detected: Value at 'records.1.member.data' failed to "
                   "satisfy constraint: Member must have length less than or equal to 1024000");
  };
  EXPECT_EQ(verdicts(deliver({"a"})), "x");
}

TEST(FirehoseOptionsTest, SaysWhatCannotBe) {
  EXPECT_TRUE(validate("a.b-c_9", {}));
  for (const char* name : {"", "a b", "a/b",
                           "0123456789012345678901234567890123456789012345678901234567890"
                           "12345"}) {
    EXPECT_FALSE(validate(name, {})) << name;
  }
  FirehoseOptions options;
  options.packing = true;
  options.delimiter = "";
  EXPECT_FALSE(validate("s", options));
  options.delimiter = "\n";
  EXPECT_TRUE(validate("s", options));
  options.ordering = Ordering::kStrict;
  EXPECT_FALSE(validate("s", options));
}

}  // namespace
}  // namespace weir::destination::firehose
