#include "connector/sender.h"

#include "base/log.h"
#include "connector/envelope.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "connector/testing.h"
#include "destination/firehose/request.h"
#include "destination/testing/scripted_client.h"
#include "exporter/exporter.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace weir::connector {
namespace {

using destination::testing::answer;
using destination::testing::from_base64;
using destination::testing::no_answer;
using destination::testing::refusal;
using destination::testing::Script;
using destination::testing::SeenRequest;
using destination::testing::verdicts;
using exporter::FailureClass;
using exporter::Outcome;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

std::string enveloped(const std::string& id, const std::string& data) {
  ByteBuffer to;
  append_envelope(to, id, as_bytes(data));
  return std::string(as_text(to.bytes()));
}

class SenderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    script->answer = [this](const SeenRequest& request) { return serve(request); };
  }
  Sender& sender() {
    if (made == nullptr) {
      made = std::make_unique<Sender>(
          Sender::Setup{options.default_target,
                        destination::testing::scripted_client(
                            {"firehose", "firehose", "firehose", destination::firehose::read_error},
                            script, clock, core.metrics)},
          Sender::Surroundings{options, core.appends, progress, core.metrics});
    }
    return *made;
  }
  // Firehose: every record whose data is in `failing` fails with its code.
  destination::HttpResponse serve(const SeenRequest& request) {
    const Json body = Json::parse(request.body);
    EXPECT_EQ(body["DeliveryStreamName"], "lake");
    if (body.contains("Record")) {
      stored.push_back(from_base64(body["Record"]["Data"]));
      return answer(200, R"({"RecordId":"id-of-)" + stored.back() + R"("})");
    }
    Json results = Json::array();
    for (const Json& record : body["Records"]) {
      const std::string data = from_base64(record["Data"]);
      if (refused.contains(data)) return refusal(400, "InvalidArgumentException", "bad record");
      if (failing.contains(data)) {
        results.push_back({{"ErrorCode", failing[data]}, {"ErrorMessage", "Slow down."}});
      } else {
        stored.push_back(data);
        results.push_back({{"RecordId", "id-of-" + log::escaped(data)}});
      }
    }
    return answer(200, Json{{"FailedPutCount", 0}, {"RequestResponses", results}}.dump());
  }
  Outcome deliver(const Texts& records) {
    exporter::Batch batch(queue_stream_name("firehose", false, options.default_target),
                          kQueueExport);
    std::int64_t number = 100;
    for (const auto& record : records) batch.add(SequenceNumber(number++), 1, as_bytes(record));
    return sender().deliver(batch, stop.get_token());
  }
  // Records whose id is their data.
  Outcome deliver_named(const Texts& names) {
    Texts records;
    for (const auto& name : names) records.push_back(enveloped(name, name));
    return deliver(records);
  }
  Texts answers() { return core.payloads(answers_stream_name("firehose")); }
  Texts answered() {
    Texts found;
    for (const auto& message : answers()) {
      const auto document = Json::parse(message);
      for (const auto& entry : document["response"]) {
        found.push_back(
            entry["id"].get<std::string>() + ": " +
            (entry["status"] == "success" ? entry["firehose_record_id"] : entry["ErrorCode"])
                .get<std::string>());
      }
    }
    return found;
  }
  Texts put_back() {
    Texts found;
    for (const auto& one :
         core.payloads(queue_stream_name("firehose", false, options.default_target))) {
      found.emplace_back(read_envelope(as_bytes(one))->id);
    }
    return found;
  }

  testing::Core core;
  ManualClock clock;
  Options options = testing::options_for_test();
  Progress progress;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::map<std::string, std::string> failing;
  std::set<std::string> refused;
  Texts stored;
  std::stop_source stop;
  std::unique_ptr<Sender> made;
};

TEST_F(SenderTest, a_batch_is_one_call_without_anything_added_and_one_answer) {
  const std::string binary("\0\xff", 2);
  EXPECT_EQ(verdicts(deliver({enveloped("a", "1"), enveloped("", binary), enveloped("c", "3\n")})),
            "all d");
  EXPECT_EQ(stored, (Texts{"1", binary, "3\n"}));
  ASSERT_EQ(script->seen.size(), 1U);
  EXPECT_EQ(script->seen[0].header("X-Amz-Target"), "Firehose_20150804.PutRecordBatch");
  EXPECT_EQ(answers().size(), 1U);
}

TEST_F(SenderTest, every_record_is_answered_with_its_own_id) {
  deliver_named({"a", "b", "c"});
  EXPECT_EQ(answered(), (Texts{"a: id-of-a", "b: id-of-b", "c: id-of-c"}));
}

TEST_F(SenderTest, version_1_and_interval_0_send_one_by_one) {
  options.version = 1;
  deliver_named({"a", "b"});
  ASSERT_EQ(script->seen.size(), 2U);
  EXPECT_EQ(script->seen[0].header("X-Amz-Target"), "Firehose_20150804.PutRecord");
  EXPECT_EQ(
      answers(),
      (Texts{R"({"response":{"firehose_record_id":"id-of-a","status":"success"},"id":"a"})",
             R"({"response":{"firehose_record_id":"id-of-b","status":"success"},"id":"b"})"}));
}

TEST_F(SenderTest, records_that_failed_alone_go_to_the_end_and_are_not_answered) {
  failing = {{"b", "ServiceUnavailableException"}, {"d", "InternalFailure"}};
  EXPECT_EQ(verdicts(deliver_named({"a", "b", "c", "d", "e"})), "all d");
  EXPECT_EQ(put_back(), (Texts{"b", "d"}));
  EXPECT_EQ(answered(), (Texts{"a: id-of-a", "c: id-of-c", "e: id-of-e"}));
}

TEST_F(SenderTest, with_order_kept_they_stay_where_they_are) {
  options.order = QueueOrder::kKeep;
  failing = {{"b", "ServiceUnavailableException"}};
  EXPECT_EQ(verdicts(deliver_named({"a", "b", "c"})), "drd");
  EXPECT_EQ(put_back(), Texts{});
  EXPECT_EQ(answered(), (Texts{"a: id-of-a", "c: id-of-c"}));
}

TEST_F(SenderTest, when_more_fail_than_not_they_stay_so_that_a_queue_is_not_copied_for_ever) {
  failing = {{"a", "InternalFailure"}, {"b", "InternalFailure"}};
  EXPECT_EQ(verdicts(deliver_named({"a", "b", "c"})), "rrd");
  EXPECT_EQ(put_back(), Texts{});
}

TEST_F(SenderTest, a_copy_that_cannot_be_stored_leaves_the_record_where_it_is) {
  core.run([&] {
    core.disk.fail_call(file::Call::kCreate, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
    core.disk.fail_call(file::Call::kMakeDirectory, 1, EIO,
                        file::FaultyFileSystem::Times::kFromThenOn);
  });
  failing = {{"b", "InternalFailure"}};
  EXPECT_EQ(verdicts(deliver_named({"a", "b"})), "dr");
}

TEST_F(SenderTest, codes_that_do_not_pass_are_answered_with_the_words_of_the_service) {
  failing = {{"b", "AccessDeniedException"}, {"c", "SomethingNew"}};
  EXPECT_EQ(verdicts(deliver_named({"a", "b", "c"})), "dxx");
  EXPECT_EQ(answered(), (Texts{"a: id-of-a", "b: AccessDeniedException", "c: SomethingNew"}));
  EXPECT_EQ(Json::parse(answers()[0])["response"][1]["ErrorMessage"], "Slow down.");
}

TEST_F(SenderTest, a_record_that_the_call_was_refused_for_is_found_and_answered) {
  refused = {"c"};
  const auto outcome = deliver_named({"a", "b", "c", "d"});
  EXPECT_EQ(verdicts(outcome), "ddxd");
  EXPECT_EQ(answered(),
            (Texts{"a: id-of-a", "b: id-of-b", "c: InvalidArgumentException", "d: id-of-d"}));
}

TEST_F(SenderTest, a_delivery_stream_that_does_not_exist_refuses_for_good) {
  for (const char* code : {"ResourceNotFoundException", "InvalidSourceException"}) {
    script->answers.push_back(refusal(400, code, "not here"));
    EXPECT_EQ(verdicts(deliver_named({"a", "b"})), "xx");
    const auto entry = Json::parse(answers().back())["response"][1];
    EXPECT_EQ(entry["ErrorCode"], code);
    EXPECT_EQ(entry["ErrorMessage"], "not here");
  }
}

TEST_F(SenderTest, a_delivery_stream_that_is_fed_otherwise_refuses_for_good_with_one_call) {
  script->answers.push_back(
      refusal(400, "InvalidArgumentException",
              "This operation is not permitted on KinesisStreamAsSource delivery stream type."));
  EXPECT_EQ(verdicts(deliver_named({"a", "b"})), "xx");
  EXPECT_EQ(script->seen.size(), 1U);
  EXPECT_EQ(Json::parse(answers().back())["response"][1]["ErrorCode"], "InvalidArgumentException");
}

TEST_F(SenderTest, what_a_whole_call_runs_into_keeps_the_batch_and_tells_nobody) {
  const std::vector<std::pair<destination::HttpResponse, FailureClass>> failures = {
      {no_answer("connection refused"), FailureClass::kTransient},
      {answer(500), FailureClass::kTransient},
      {refusal(503, "ServiceUnavailableException"), FailureClass::kThrottle},
      {refusal(400, "ThrottlingException"), FailureClass::kThrottle},
      {refusal(400, "AccessDeniedException"), FailureClass::kOperator},
      {refusal(400, "InvalidKMSResourceException"), FailureClass::kOperator},
      {refusal(400, "UnknownOperationException"), FailureClass::kBug},
      {answer(200, "<html>"), FailureClass::kTransient},
      {answer(200, R"({"RequestResponses":[{"RecordId":"one too few"}]})"),
       FailureClass::kTransient},
  };
  for (const auto& [response, failure] : failures) {
    script->answers.push_back(response);
    const auto outcome = deliver_named({"a", "b"});
    EXPECT_TRUE(verdicts(outcome) == "all r" || verdicts(outcome) == "rr") << response.body;
    EXPECT_EQ(outcome.failure, failure) << response.body << outcome.error;
  }
  EXPECT_EQ(answers(), Texts{});
  EXPECT_EQ(put_back(), Texts{});
}

TEST_F(SenderTest, what_is_no_record_is_passed_over_and_counted) {
  EXPECT_EQ(
      verdicts(deliver({enveloped("a", "1"), "written by somebody else", enveloped("b", "2")})),
      "dxd");
  EXPECT_EQ(stored, (Texts{"1", "2"}));
  EXPECT_EQ(core.metrics.counter(kRecordsTotal, {"firehose", testing::kLakeArn, "damaged"}).value(),
            1U);
}

TEST_F(SenderTest,
       answers_that_cannot_be_stored_are_lost_and_counted_and_do_not_hold_up_the_queue) {
  deliver_named({"first"});  // makes the stream
  core.run([&] {
    core.disk.fail_call(file::Call::kWrite, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
  });
  EXPECT_EQ(verdicts(deliver_named({"a", "b"})), "all d");
  EXPECT_EQ(core.metrics.counter(kLostAnswersTotal, {"firehose", "not_stored"}).value(), 2U);
  core.run([&] { core.disk.clear_faults(); });
}

TEST_F(SenderTest,
       once_the_core_has_closed_a_batch_without_answers_is_sent_again_after_the_restart) {
  core.run([&] { core.appends.close(); });
  EXPECT_EQ(verdicts(deliver_named({"a"})), "all r");
}

TEST_F(SenderTest, room_in_the_queue_is_there_before_the_answer) {
  deliver_named({"a", "b"});
  const std::string stream = queue_stream_name("firehose", false, options.default_target);
  EXPECT_EQ(progress.beyond(stream, SequenceNumber(100)), SequenceNumber(102));
  // A person moved the position back: those count as waiting again.
  EXPECT_EQ(progress.beyond(stream, SequenceNumber(7)), SequenceNumber(7));
  EXPECT_EQ(progress.beyond(stream, SequenceNumber(500)), SequenceNumber(500));
}

// What the engine makes of the connector's export: 86,400 s without a target at ten records a
// second.
TEST(Outage, of_a_day_loses_nothing_and_drains_in_order_in_full_batches) {
  const Options options = testing::options_for_test();
  const auto role = role_of_stream(queue_stream_name("firehose", false, options.default_target));
  exporter::Exporter exporter(export_of(options, *role), std::nullopt, {}, 7);
  ManualClock clock;
  exporter.destination_made({500, 4 << 20, 0}, clock.now());
  constexpr std::int64_t kSeconds = 86'400;
  constexpr std::int64_t kPerSecond = 10;
  constexpr std::int64_t kAll = kSeconds * kPerSecond;
  std::int64_t end = 0;
  std::int64_t delivered = 0;
  std::int64_t tries = 0;
  const auto deliver = [&](bool works) {
    const exporter::Grant grant = exporter.take(clock.now());
    exporter::Delivery delivery;
    delivery.generation = grant.generation;
    delivery.limits = {500, 4 << 20, 0};
    const std::int64_t first = grant.only.empty() ? grant.from.value() : grant.only.front().value();
    const std::int64_t count = std::min<std::int64_t>(grant.messages_max, end - first);
    for (std::int64_t i = 0; i < count; ++i)
      delivery.sent.push_back({SequenceNumber(first + i), 512});
    delivery.next = SequenceNumber(first + count);
    delivery.outcome = works ? Outcome::delivered()
                             : Outcome::retry(FailureClass::kTransient, "connection refused");
    if (works) {
      ASSERT_EQ(first, delivered) << "in order, without a gap";
      ASSERT_EQ(count, std::min<std::int64_t>(500, kAll - delivered)) << "full batches";
      delivered += count;
    }
    exporter.finish(delivery, clock.now(), clock.wall_ms());
    ++tries;
  };
  for (std::int64_t second = 0; second < kSeconds; ++second) {
    end += kPerSecond;
    clock.advance(std::chrono::seconds(1));
    exporter.log_moved(SequenceNumber(0), SequenceNumber(end), clock.now());
    exporter.tick(clock.now());
    if (exporter.state() == exporter::State::kReady) deliver(false);
  }
  EXPECT_EQ(exporter.next(), SequenceNumber(0));
  EXPECT_LT(tries, 1'000) << "the target is not asked more often than every few minutes";
  const auto back = clock.now();
  while (exporter.next() < SequenceNumber(end) && !HasFatalFailure()) {
    if (exporter.state() != exporter::State::kReady) {
      clock.advance(std::chrono::seconds(1));
      exporter.tick(clock.now());
      continue;
    }
    deliver(true);
  }
  EXPECT_EQ(delivered, kAll);
  EXPECT_LE(clock.now() - back, std::chrono::minutes(6)) << "it waits once, then goes at full rate";
}

}  // namespace
}  // namespace weir::connector
