#include "destination/kinesis/destination.h"

#include "destination/testing/decompressed.h"
#include "destination/testing/scripted_transport.h"

#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>
#include <set>

namespace weir::destination::kinesis {
namespace {

using exporter::Batch;
using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;
using testing::answer;
using testing::cut_answer;
using testing::decompressed;
using testing::no_answer;
using testing::Script;
using testing::ScriptedTransport;
using testing::SeenRequest;
using Json = nlohmann::json;

std::string from_base64(const Json& value) {
  const auto text = value.get<std::string>();
  std::string raw(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(raw.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  EXPECT_GE(size, 0);
  raw.resize(static_cast<std::size_t>(size));
  // OpenSSL counts the padding as bytes.
  if (text.ends_with("==")) {
    raw.resize(text.size() / 4 * 3 - 2);
  } else if (text.ends_with("=")) {
    raw.resize(text.size() / 4 * 3 - 1);
  }
  return raw;
}

// A stand-in for the service: stores what it accepts, refuses what the test says.
class FakeKinesis {
 public:
  struct Stored {
    std::string data;
    std::string key;
    std::string after;
  };

  HttpResponse operator()(const SeenRequest& request) {
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body.at("StreamName"), "target");
    if (request.header("X-Amz-Target") == "Kinesis_20131202.PutRecord") return put_record(body);
    calls.push_back(body.at("Records").size());
    Json results = Json::array();
    int index = 0;
    for (const Json& record : body.at("Records")) {
      ++index;
      const std::string data = from_base64(record.at("Data"));
      if (poison.contains(data) || (refuses && refuses(data))) return refusal(index);
    }
    int failures = 0;
    for (const Json& record : body.at("Records")) {
      const std::string data = from_base64(record.at("Data"));
      if (failing.contains(data) || (fails && fails(data))) {
        ++failures;
        results.push_back({{"ErrorCode", failing_code}, {"ErrorMessage", "later"}});
      } else {
        stored.push_back({data, record.at("PartitionKey").get<std::string>(), {}});
        results.push_back({{"SequenceNumber", std::to_string(stored.size())}, {"ShardId", "s"}});
      }
    }
    return answer(200, Json{{"FailedRecordCount", failures}, {"Records", results}}.dump());
  }

  [[nodiscard]] std::string content() const {
    std::string all;
    for (const Stored& record : stored) all += record.data + " ";
    return all;
  }

  std::vector<Stored> stored;
  std::vector<std::size_t> calls;
  std::set<std::string> poison;
  std::set<std::string> failing;
  std::function<bool(const std::string& data)> fails;
  std::function<bool(const std::string& data)> refuses;
  std::string failing_code = "ProvisionedThroughputExceededException";
  std::string refusal_code = "ValidationException";
  bool names_the_record = true;
  bool answers_413 = false;
  bool refuses_after = false;  // SequenceNumberForOrdering

 private:
  HttpResponse put_record(const Json& body) {
    const std::string data = from_base64(body.at("Data"));
    const std::string after = body.value("SequenceNumberForOrdering", "");
    if (poison.contains(data) || (refuses_after && !after.empty())) return refusal(1);
    if (failing.contains(data)) {
      return answer(400, Json{{"__type", failing_code}, {"message", "later"}}.dump());
    }
    stored.push_back({data, body.at("PartitionKey").get<std::string>(), after});
    return answer(
        200,
        Json{{"SequenceNumber", "n" + std::to_string(stored.size())}, {"ShardId", "s"}}.dump());
  }
  [[nodiscard]] HttpResponse refusal(int index) const {
    if (answers_413) return answer(413, "");
    const std::string where =
        names_the_record ? "records." + std::to_string(index) + ".member.data" : "data";
    return answer(400, Json{{"__type", refusal_code},
                            {"message", "Value at '" + where + "' failed to satisfy constraint"}}
                           .dump());
  }
};

// Every test with batches as they are and with batches that were prepared: the same must come of
// it.
class KinesisTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    script->answer = [this](const SeenRequest& request) { return service(request); };
  }

  KinesisDestination& destination() {
    if (!made) {
      AwsOptions aws;
      aws.access_key_id = "id";
      aws.secret_access_key = "secret";
      auto keys = KeyMaker::create(options.partition_key, "pumps", 1, fallbacks);
      EXPECT_TRUE(keys) << keys.error().what;
      auto client =
          std::make_unique<AwsClient>(AwsService{"kinesis", "kinesis", "kinesis"}, "us-east-1",
                                      *parse_url("http://127.0.0.1:9/"), static_credentials(aws),
                                      std::make_unique<ScriptedTransport>(script), clock, metrics);
      made = std::make_unique<KinesisDestination>(
          KinesisDestination::Setup{"target", options, std::move(*keys), std::move(client)}, clock,
          metrics);
    }
    return *made;
  }

  static Batch batch(const std::vector<std::string>& payloads) {
    Batch out("pumps", "cloud");
    std::int64_t sequence = 100;
    for (const std::string& payload : payloads) {
      out.add(SequenceNumber(sequence++), 1, as_bytes(payload));
    }
    return out;
  }
  Outcome deliver(const std::vector<std::string>& payloads) {
    Batch out = batch(payloads);
    if (GetParam() && destination().prepares()) {
      out.set_preparation(destination().prepare(out, std::move(used_)));
    }
    const Outcome outcome = destination().deliver(out, {});
    used_ = out.take_preparation();
    return outcome;
  }
  // The next delivery is by a new destination, of the options as they are now.
  void make_anew() {
    used_.reset();
    made.reset();
  }
  // "d", "r" or "x" (delivered, retry, rejected) for each record.
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

  ManualClock clock;
  metrics::Registry metrics;
  metrics::Counter fallbacks;
  KinesisOptions options;
  FakeKinesis service;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::unique_ptr<KinesisDestination> made;

 private:
  std::unique_ptr<exporter::Preparation> used_;
};

INSTANTIATE_TEST_SUITE_P(AsItIs, KinesisTest, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Prepared, KinesisTest, ::testing::Values(true));

TEST_P(KinesisTest, DeliversABatchInOneCallInOrder) {
  EXPECT_EQ(verdicts(deliver({"a", "b", std::string("\0\xff\n", 3)})), "all d");
  EXPECT_EQ(service.content(), std::string("a b ") + std::string("\0\xff\n", 3) + " ");
  EXPECT_EQ(service.calls, std::vector<std::size_t>{3});
  EXPECT_EQ(script->seen[0].header("Content-Type"), "application/x-amz-json-1.1");
}

TEST_P(KinesisTest, WhatIsSentDoesNotTellWhetherItWasPrepared) {
  const std::vector<std::string> payloads = {"a", std::string(2 << 20, 'x'), "b"};
  EXPECT_EQ(verdicts(deliver(payloads)), "dxd");
  make_anew();
  Batch plain = batch(payloads);
  EXPECT_EQ(verdicts(destination().deliver(plain, {})), "dxd");
  ASSERT_EQ(script->seen.size(), 2U);
  EXPECT_EQ(script->seen[0].body, script->seen[1].body);
  EXPECT_EQ(script->seen[0].header("Authorization"), script->seen[1].header("Authorization"));
}

TEST_P(KinesisTest, APreparedBatchMayBeSentAgainOrThrownAway) {
  Batch first = batch({"a", "b"});
  Batch second = batch({"c"});
  first.set_preparation(destination().prepare(first, nullptr));
  second.set_preparation(destination().prepare(second, nullptr));  // never delivered
  service.failing = {"a"};
  EXPECT_EQ(verdicts(destination().deliver(first, {})), "rd");
  service.failing.clear();
  EXPECT_EQ(verdicts(destination().deliver(first, {})), "all d") << "without what was prepared";
  second.set_preparation(destination().prepare(second, first.take_preparation()));
  EXPECT_EQ(verdicts(destination().deliver(second, {})), "all d");
  EXPECT_EQ(service.content(), "b a b c ");
}

TEST_P(KinesisTest, PartialFailuresAreReportedRecordByRecord) {
  service.failing = {"b", "d"};
  const Outcome outcome = deliver({"a", "b", "c", "d"});
  EXPECT_EQ(verdicts(outcome), "drdr");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
  EXPECT_NE(outcome.error.find("2 of 4 records failed"), std::string::npos);
  EXPECT_NE(outcome.error.find("ProvisionedThroughputExceededException"), std::string::npos);
  service.failing_code = "InternalFailure";
  EXPECT_EQ(deliver({"a", "b"}).failure, FailureClass::kTransient);
}

TEST_P(KinesisTest, AllRecordsMayFailInAWholeAnswer) {
  service.failing = {"a", "b"};
  EXPECT_EQ(verdicts(deliver({"a", "b"})), "rr");
}

TEST_P(KinesisTest, PerKeyRepeatsWhatCameBehindAFailureOfItsKey) {
  options.ordering = Ordering::kPerKey;
  options.partition_key = {PartitionKey::Kind::kField, "/k"};
  service.failing = {R"({"k":"A","n":1})"};
  EXPECT_EQ(verdicts(deliver({R"({"k":"A","n":0})", R"({"k":"A","n":1})", R"({"k":"B","n":2})",
                              R"({"k":"A","n":3})", R"({"k":"B","n":4})"})),
            "drdrd");
}

TEST_P(KinesisTest, BatchOrderingDoesNotRepeatWhatWasDelivered) {
  options.partition_key = {PartitionKey::Kind::kStream, ""};
  service.failing = {"b"};
  EXPECT_EQ(verdicts(deliver({"a", "b", "c"})), "drd");
}

TEST_P(KinesisTest, StrictSendsOneByOneAndNamesTheRecordBefore) {
  options.ordering = Ordering::kStrict;
  options.partition_key = {PartitionKey::Kind::kStream, ""};
  EXPECT_EQ(verdicts(deliver({"a", "b"})), "all d");
  EXPECT_EQ(verdicts(deliver({"c"})), "all d");
  ASSERT_EQ(service.stored.size(), 3U);
  EXPECT_EQ(service.stored[0].after, "");
  EXPECT_EQ(service.stored[1].after, "n1");
  EXPECT_EQ(service.stored[2].after, "n2");
}

TEST_P(KinesisTest, StrictGivesTheWorkerBackAfterASecond) {
  options.ordering = Ordering::kStrict;
  script->answer = [this](const SeenRequest& request) {
    clock.advance(std::chrono::milliseconds(300));
    return service(request);
  };
  EXPECT_EQ(verdicts(deliver(std::vector<std::string>(6, "m"))), "dddduu");
}

TEST_P(KinesisTest, StrictStopsAtTheFirstFailure) {
  options.ordering = Ordering::kStrict;
  options.partition_key = {PartitionKey::Kind::kStream, ""};
  service.failing = {"b"};
  const Outcome outcome = deliver({"a", "b", "c"});
  EXPECT_EQ(verdicts(outcome), "drr");
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
  EXPECT_EQ(service.content(), "a ");
}

TEST_P(KinesisTest, StrictGoesOnBehindPoisonAndSurvivesARefusedPredecessor) {
  options.ordering = Ordering::kStrict;
  options.partition_key = {PartitionKey::Kind::kStream, ""};
  service.poison = {"b"};
  EXPECT_EQ(verdicts(deliver({"a", "b", "c"})), "dxd");
  service.refuses_after = true;
  EXPECT_EQ(verdicts(deliver({"d", "e"})), "all d") << "sent again without the predecessor";
}

TEST_P(KinesisTest, WhatCannotFitIsNeverSent) {
  options.record_bytes_max = 36 + 10;  // random keys have 36
  const Outcome outcome = deliver({"a", std::string(11, 'x'), std::string(10, 'y'), "b"});
  EXPECT_EQ(verdicts(outcome), "dxdd");
  EXPECT_NE(outcome.records[1].reason.find("47 bytes, the limit is 46"), std::string::npos);
  EXPECT_EQ(service.content(), "a " + std::string(10, 'y') + " b ");
  EXPECT_EQ(verdicts(deliver({std::string(11, 'x')})), "x");
  EXPECT_EQ(service.calls.size(), 1U) << "a batch of nothing is not sent";
}

TEST_P(KinesisTest, WhatCannotFitIsNotSearchedForAKey) {
  options.record_bytes_max = 50;
  options.partition_key = {PartitionKey::Kind::kField, "/device"};
  const Outcome outcome = deliver({std::string(51, 'x'), R"({"device":"p-1"})"});
  EXPECT_EQ(verdicts(outcome), "xd");
  EXPECT_NE(outcome.records[0].reason.find("data has 51 bytes, the limit is 50"),
            std::string::npos);
  EXPECT_EQ(fallbacks.value(), 0U);
}

TEST_P(KinesisTest, CallsStayBelowTheirLimits) {
  options.record_bytes_max = 100;
  options.call_bytes_max = 200;
  const std::string fifty(50, 'x');  // 86 bytes with its key
  EXPECT_EQ(verdicts(deliver({fifty, fifty, fifty, fifty, fifty})), "all d");
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{2, 2, 1}));
  service.calls.clear();
  options = {};
  make_anew();
  EXPECT_EQ(verdicts(deliver(std::vector<std::string>(501, "m"))), "all d");
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{500, 1}));
}

TEST_P(KinesisTest, LimitsCountTheKeys) {
  EXPECT_EQ(destination().limits().messages_max, 500);
  EXPECT_EQ(destination().limits().batch_bytes_max, 5 << 20);
  EXPECT_EQ(destination().limits().message_overhead_bytes, 36);
}

TEST_P(KinesisTest, PoisonIsFoundByTheIndexInTheRefusal) {
  service.poison = {"p"};
  EXPECT_EQ(verdicts(deliver({"a", "b", "p", "c", "d"})), "ddxdd");
  EXPECT_EQ(service.content(), "a b c d ");
  // The whole, the part before, the record itself, the part behind.
  EXPECT_EQ(service.calls, (std::vector<std::size_t>{5, 2, 1, 2}));
}

TEST_P(KinesisTest, PoisonIsFoundByHalvingWhenNothingNamesIt) {
  service.names_the_record = false;
  for (const bool silent : {false, true}) {
    service.answers_413 = silent;
    for (std::size_t at = 0; at < 16; ++at) {
      std::vector<std::string> payloads;
      std::string expected;
      for (std::size_t i = 0; i < 16; ++i) {
        payloads.push_back(i == at ? "p" : "m" + std::to_string(i));
        if (i != at) expected += payloads.back() + " ";
      }
      service.poison = {"p"};
      service.stored.clear();
      std::string wanted(16, 'd');
      wanted[at] = 'x';
      EXPECT_EQ(verdicts(deliver(payloads)), wanted);
      EXPECT_EQ(service.content(), expected) << "the others arrive, in order";
    }
  }
}

TEST_P(KinesisTest, EveryPairOfPoisonRecordsIsFound) {
  service.names_the_record = false;
  service.poison = {"p"};
  for (std::size_t a = 0; a < 8; ++a) {
    for (std::size_t b = a; b < 8; ++b) {
      std::vector<std::string> payloads(8, "m");
      std::string wanted(8, 'd');
      payloads[a] = payloads[b] = "p";
      wanted[a] = wanted[b] = 'x';
      EXPECT_EQ(verdicts(deliver(payloads)), wanted);
    }
  }
  EXPECT_EQ(verdicts(deliver({"p", "p"})), "xx");
}

TEST_P(KinesisTest, ABatchFullOfPoisonIsIsolatedOverSeveralDeliveries) {
  service.names_the_record = false;
  service.poison = {"p"};
  const Outcome outcome = deliver(std::vector<std::string>(500, "p"));
  const std::string result = verdicts(outcome);
  EXPECT_GT(std::count(result.begin(), result.end(), 'x'), 10);
  EXPECT_EQ(result.find_first_not_of("xu"), std::string::npos) << result;
  EXPECT_EQ(result.back(), 'u');
  EXPECT_LE(service.calls.size(), 128U);
}

TEST_P(KinesisTest, ARefusalThatLiesAboutTheIndexDoesNotLoseTheWrongRecord) {
  script->answers = {answer(
      400, R"({"__type":"ValidationException","message":"at 'records.1.member.data' failed"})")};
  service.poison = {"b"};
  EXPECT_EQ(verdicts(deliver({"a", "b", "c"})), "dxd");
}

TEST_P(KinesisTest, ARefusedStreamNameIsNotTheFaultOfTheRecords) {
  script->answer = [](const auto&) {
    return answer(
        400,
        R"({"__type":"ValidationException","message":"Value 'x' at 'streamName' failed to satisfy constraint"})");
  };
  const Outcome outcome = deliver({"a", "b"});
  EXPECT_EQ(verdicts(outcome), "all r");
  EXPECT_EQ(outcome.failure, FailureClass::kOperator);
}

TEST_P(KinesisTest, IsolationStopsWhenItIsInterruptedByAnotherFailure) {
  service.names_the_record = false;
  service.poison = {"p"};
  service.failing = {"b"};
  const Outcome outcome = deliver({"a", "b", "c", "p"});
  // Halves: a b | c p. The first half has a record to retry: nothing behind it is sent.
  EXPECT_EQ(verdicts(outcome), "drrr");
  EXPECT_EQ(service.content(), "a ");
}

TEST_P(KinesisTest, OnlyAWholeAndSensibleAnswerIsASuccess) {
  const std::vector<HttpResponse> answers = {
      cut_answer(200, R"({"FailedRecordCount":0,"Records":[{"SequenceNumber":"1"},)"),
      answer(200, ""),
      answer(200, "<html>Please log in to the hotel</html>"),
      answer(200, R"({"FailedRecordCount":0,"Records":[]})"),
      answer(200, R"({"FailedRecordCount":0,"Records":[{"SequenceNumber":"1"}]})"),
      answer(200, R"({"FailedRecordCount":0,"Records":[{},{}]})"),
      answer(204, ""),
      answer(302, "", {{"location", "http://portal/"}}),
      answer(500, "oops"),
      answer(503, ""),
      no_answer("reset"),
  };
  for (const HttpResponse& one : answers) {
    script->answers = {one};
    const Outcome outcome = deliver({"a", "b"});
    EXPECT_EQ(outcome.failure, FailureClass::kTransient) << one.status << one.body;
    const std::string result = verdicts(outcome);
    EXPECT_TRUE(result == "all r" || result == "rr") << result;
    EXPECT_FALSE(outcome.error.empty());
  }
}

TEST_P(KinesisTest, ARecordThatIsRefusedAloneIsPoisonByEitherCode) {
  service.names_the_record = false;
  service.poison = {"p"};
  for (const char* code : {"ValidationException", "InvalidArgumentException"}) {
    service.refusal_code = code;
    const Outcome outcome = deliver({"a", "p", "b"});
    EXPECT_EQ(verdicts(outcome), "dxd") << code;
    EXPECT_EQ(outcome.records[1].failure, FailureClass::kPoison) << code;
    EXPECT_TRUE(outcome.records[1].reason.starts_with(code)) << outcome.records[1].reason;
  }
  EXPECT_EQ(service.content(), "a b a b ");
}

TEST_P(KinesisTest, RefusalsKeepTheirClass) {
  const std::vector<std::pair<const char*, FailureClass>> rows = {
      {"ProvisionedThroughputExceededException", FailureClass::kThrottle},
      {"LimitExceededException", FailureClass::kThrottle},
      {"KMSThrottlingException", FailureClass::kThrottle},
      {"InternalFailure", FailureClass::kTransient},
      {"ResourceNotFoundException", FailureClass::kOperator},
      {"AccessDeniedException", FailureClass::kOperator},
      {"KMSAccessDeniedException", FailureClass::kOperator},
      {"KMSDisabledException", FailureClass::kOperator},
      {"KMSInvalidStateException", FailureClass::kOperator},
      {"KMSNotFoundException", FailureClass::kOperator},
      {"KMSOptInRequired", FailureClass::kOperator},
      {"UnrecognizedClientException", FailureClass::kCredentials},
      {"SerializationException", FailureClass::kBug},
  };
  for (const auto& [code, failure] : rows) {
    script->answers = {answer(400, Json{{"__type", code}, {"message", "m"}}.dump())};
    const Outcome outcome = deliver({"a", "b"});
    EXPECT_EQ(verdicts(outcome), "all r") << code;
    EXPECT_EQ(outcome.failure, failure) << code;
    EXPECT_EQ(outcome.error, std::string(code) + ": m");
  }
}

TEST_P(KinesisTest, StopEndsADeliveryBeforeTheNextCall) {
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(verdicts(destination().deliver(batch({"a"}), source.get_token())), "all r");
  EXPECT_TRUE(script->seen.empty());
}

TEST(KinesisValidation, NamesAndLimits) {
  EXPECT_TRUE(validate("a.B_c-1", {}));
  for (const char* name : {"", "a b", "a/b", "é"}) EXPECT_FALSE(validate(name, {})) << name;
  EXPECT_FALSE(validate(std::string(129, 'a'), {}));
  KinesisOptions options;
  options.record_bytes_max = options.call_bytes_max = 10 << 20;
  EXPECT_TRUE(validate("s", options));
  options.call_bytes_max += 1;
  EXPECT_FALSE(validate("s", options));
  options.call_bytes_max = 1 << 20;
  EXPECT_FALSE(validate("s", options)) << "a record that fits into no call";
}

// The records in a container, read by the rules of protobuf; `data` itself if it is none.
std::vector<std::string> inside(const std::string& data) {
  if (!data.starts_with("\xf3\x89\x9a\xc2")) return {data};
  std::vector<std::string> out;
  std::size_t at = 4;
  const auto varint = [&] {
    std::size_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(data.at(at++));
      value |= (byte & 0x7fULL) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < data.size() - 16) {
    const char tag = data.at(at++);
    const std::size_t end = varint() + at;
    if (tag == 0x1a) {
      EXPECT_EQ(data.substr(at, 3), std::string("\x08\x00\x1a", 3));
      at += 3;
      const std::size_t bytes = varint();
      out.push_back(data.substr(at, bytes));
    }
    at = end;
  }
  return out;
}

TEST_P(KinesisTest, ManyMessagesShareARecordUnderOneKey) {
  options.aggregation = Aggregation::kKpl;
  EXPECT_TRUE(destination().limits().messages_max > 500);
  EXPECT_EQ(deliver({"a", "b", "c"}).verdict, Verdict::kDelivered);
  ASSERT_EQ(service.stored.size(), 1U);
  EXPECT_EQ(inside(service.stored[0].data), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_NE(service.stored[0].data.find(service.stored[0].key), std::string::npos)
      << "the key inside is the key outside";
  EXPECT_EQ(deliver({"d", "e"}).verdict, Verdict::kDelivered);
  EXPECT_NE(service.stored[0].key, service.stored[1].key) << "random keys are fresh for each";
}

TEST_P(KinesisTest, AggregatesHaveOneKeyEach) {
  options.aggregation = Aggregation::kKpl;
  options.partition_key = {PartitionKey::Kind::kField, "/k"};
  const std::vector<std::string> messages = {R"({"k":"x","n":1})", R"({"k":"y","n":2})",
                                             R"({"k":"x","n":3})", R"({"k":"z","n":4})"};
  EXPECT_EQ(deliver(messages).verdict, Verdict::kDelivered);
  ASSERT_EQ(service.stored.size(), 3U);
  EXPECT_EQ(service.stored[0].key, "x");
  EXPECT_EQ(inside(service.stored[0].data), (std::vector<std::string>{messages[0], messages[2]}));
  EXPECT_EQ(service.stored[1].data, messages[1]) << "alone in its key it goes plain";
  EXPECT_EQ(service.stored[2].data, messages[3]);
}

TEST_P(KinesisTest, AMessageThatLooksLikeAContainerIsWrapped) {
  options.aggregation = Aggregation::kKpl;
  const std::string odd = "\xf3\x89\x9a\xc2 not a container";
  EXPECT_EQ(deliver({odd}).verdict, Verdict::kDelivered);
  ASSERT_EQ(service.stored.size(), 1U);
  EXPECT_NE(service.stored[0].data, odd);
  EXPECT_EQ(inside(service.stored[0].data), (std::vector<std::string>{odd}));
}

TEST_P(KinesisTest, AggregatesStayBelowTheirSizeAndFailAsOne) {
  options.aggregation = Aggregation::kKpl;
  options.aggregation_bytes_max = 120;  // head, digest and key take 58, a message 27
  const std::string pad(20, '.');
  const std::vector<std::string> messages = {"1" + pad, "2" + pad, "3" + pad, "4" + pad, "5" + pad};
  service.fails = [](const std::string& data) { return inside(data).front().starts_with("3"); };
  const Outcome outcome = deliver(messages);
  ASSERT_EQ(outcome.records.size(), 5U);
  for (const auto& record : service.stored) EXPECT_LE(record.data.size(), 120U);
  EXPECT_EQ(verdicts(outcome), "ddrrd");
}

TEST_P(KinesisTest, ARefusedAggregateIsDividedUntilThePoisonIsAlone) {
  options.aggregation = Aggregation::kKpl;
  service.refuses = [](const std::string& data) {
    return data.find("poison") != std::string::npos;
  };
  const Outcome outcome = deliver({"a", "b", "c", "poison", "d", "e", "f"});
  EXPECT_EQ(verdicts(outcome), "dddxddd");
  std::string all;
  for (const auto& record : service.stored) {
    for (const auto& message : inside(record.data)) all += message + " ";
  }
  EXPECT_EQ(all, "a b c d e f ");
}

TEST_P(KinesisTest, LinesAreReadByAnything) {
  options.aggregation = Aggregation::kLines;
  EXPECT_EQ(deliver({"a", "b\n", "c"}).verdict, Verdict::kDelivered);
  ASSERT_EQ(service.stored.size(), 1U);
  EXPECT_EQ(service.stored[0].data, "a\nb\nc\n");
}

TEST_P(KinesisTest, CompressedLinesAreReadByTheUsualTools) {
  options.aggregation = Aggregation::kLines;
  const std::string line(500, 'z');
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    options.compression = compression;
    make_anew();
    service.stored.clear();
    EXPECT_EQ(deliver({line, line}).verdict, Verdict::kDelivered);
    ASSERT_EQ(service.stored.size(), 1U);
    EXPECT_LT(service.stored[0].data.size(), 100U);
    EXPECT_EQ(decompressed(service.stored[0].data), line + "\n" + line + "\n");
  }
}

TEST_P(KinesisTest, ASizeThatOnlyCompressionMakesPossibleIsSent) {
  options.compression = Compression::kGzip;
  options.record_bytes_max = 300;
  std::string noise;
  for (int i = 0; noise.size() < 600; ++i) noise += std::to_string(i * 7919);
  const Outcome outcome = deliver({std::string(5000, 'z'), noise});
  EXPECT_EQ(verdicts(outcome), "dx");
}

TEST(KinesisOptionsTest, RefusesWhatConsumersCouldNotReadAndWhatContradictsItself) {
  KinesisOptions options;
  options.aggregation = Aggregation::kKpl;
  EXPECT_TRUE(validate("s", options));
  options.compression = Compression::kZstd;
  EXPECT_FALSE(validate("s", options));
  options.aggregation = Aggregation::kLines;
  EXPECT_TRUE(validate("s", options));
  options.ordering = Ordering::kStrict;
  EXPECT_FALSE(validate("s", options));
}

}  // namespace
}  // namespace weir::destination::kinesis
