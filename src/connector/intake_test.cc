#include "connector/intake.h"

#include "connector/envelope.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "connector/testing.h"
#include "stream/stream.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::connector {
namespace {

using testing::Core;
using testing::options_for_test;
using Packets = std::vector<std::uint16_t>;
using Texts = std::vector<std::string>;

// Messages go in at one end; what was stored, answered and acknowledged is seen at the others.
class IntakeTest : public ::testing::Test {
 protected:
  void begin() {
    intake = std::make_unique<Intake>(
        options, Intake::Environment{core.appends, core, core.metrics, core.later(),
                                     [this](const stream::Stream&) { return sent_below; },
                                     [this](std::vector<mqtt::Receipt> receipts, std::size_t) {
                                       for (const auto& one : receipts)
                                         released.push_back(one.packet);
                                     }});
  }
  void TearDown() override {
    core.stop();
    intake.reset();
  }
  static std::string request(const std::string& id, const std::string& data,
                             const std::string& arn = "") {
    nlohmann::json document = {{"request", {{"data", data}}}, {"id", id}};
    if (!arn.empty()) document["request"]["delivery_stream_arn"] = arn;
    return document.dump();
  }
  // One group of messages that arrived together, numbered on.
  void arrive(const Texts& messages) {
    auto group = std::make_shared<Group>();
    Reader reader(options);
    for (const auto& message : messages) {
      reader.read({options.message_topic, as_bytes(message), false, false, {1, ++last_packet}},
                  *group);
    }
    core.run([&] { intake->take(group); });
  }
  Texts stored(const std::string& name = "lake") {
    auto target = options.default_target;
    target.name = name;
    Texts found;
    for (const auto& envelope : core.payloads(queue_stream_name("firehose", false, target))) {
      const auto record = read_envelope(as_bytes(envelope));
      found.push_back(std::string(record->id) + "=" + std::string(as_text(record->data)));
    }
    return found;
  }
  // "id: code" of each, in order.
  Texts answers() {
    Texts found;
    for (const auto& message : core.payloads(answers_stream_name("firehose"))) {
      const auto document = nlohmann::json::parse(message);
      for (const auto& entry : document["response"]) {
        found.push_back(entry["id"].get<std::string>() + ": " +
                        entry["ErrorCode"].get<std::string>());
      }
    }
    return found;
  }
  Packets acknowledged() {
    core.settle();
    Packets all;
    core.run([&] { all = released; });
    return all;
  }
  std::uint64_t refused(const char* reason) {
    return core.metrics.counter(kRefusedMessagesTotal, {"firehose", reason}).value();
  }

  Options options = options_for_test();
  Core core;
  SequenceNumber sent_below;
  std::unique_ptr<Intake> intake;
  std::uint16_t last_packet = 0;
  Packets released;
};

TEST_F(IntakeTest, records_are_stored_in_order_and_then_acknowledged) {
  begin();
  arrive({request("a", "1"), request("b", "2")});
  arrive({request("c", "3")});
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3}));
  EXPECT_EQ(stored(), (Texts{"a=1", "b=2", "c=3"}));
  EXPECT_EQ(answers(), Texts{});
}

TEST_F(IntakeTest, each_delivery_stream_has_its_queue) {
  begin();
  const std::string pond = "arn:aws:firehose:us-east-1:123456789012:deliverystream/pond";
  arrive({request("a", "1"), request("b", "2", pond), request("c", "3"), request("d", "4", pond)});
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3, 4}));
  EXPECT_EQ(stored("lake"), (Texts{"a=1", "c=3"}));
  EXPECT_EQ(stored("pond"), (Texts{"b=2", "d=4"}));
}

TEST_F(IntakeTest, bad_messages_are_answered_among_good_ones) {
  begin();
  arrive({request("a", "1"), "no JSON", request("b", ""), request("c", "3")});
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3, 4}));
  EXPECT_EQ(stored(), (Texts{"a=1", "c=3"}));
  EXPECT_EQ(answers(), (Texts{": InvalidRequest", "b: InvalidRequest"}));
}

TEST_F(IntakeTest, with_flush_on_write_nothing_is_acknowledged_before_it_is_on_stable_storage) {
  options.flush_on_write = true;
  begin();
  arrive({request("first", "makes the stream")});
  ASSERT_EQ(acknowledged(), Packets{1});
  core.hold_syncer(true);
  arrive({request("a", "1"), request("b", "2")});
  EXPECT_EQ(acknowledged(), Packets{1});
  core.hold_syncer(false);
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3}));
}

TEST_F(IntakeTest,
       an_answer_is_on_stable_storage_before_its_message_is_acknowledged_and_order_holds) {
  begin();
  arrive({request("first", "x"), "makes the other stream"});
  ASSERT_EQ(acknowledged(), (Packets{1, 2}));
  core.hold_syncer(true);
  arrive({request("a", "1"), "bad", request("b", "2")});
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3}));
  core.hold_syncer(false);
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3, 4, 5}));
}

TEST_F(IntakeTest, a_queue_takes_exactly_its_size_and_then_answers_queue_full) {
  options.queue_records_max = 3;
  begin();
  arrive({request("a", "1"), request("b", "2")});
  arrive({request("c", "3"), request("d", "4"), request("e", "5")});
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3, 4, 5}));
  EXPECT_EQ(stored(), (Texts{"a=1", "b=2", "c=3"}));
  EXPECT_EQ(answers(), (Texts{"d: QueueFull", "e: QueueFull"}));
  EXPECT_EQ(refused("queue_records"), 2U);
  core.run([&] { sent_below = SequenceNumber(2); });
  arrive({request("f", "6"), request("g", "7"), request("h", "8")});
  core.settle();
  EXPECT_EQ(stored(), (Texts{"a=1", "b=2", "c=3", "f=6", "g=7"}));
}

TEST_F(IntakeTest, a_queue_is_limited_in_bytes_too) {
  options.queue_bytes_max = 2 << 20;
  begin();
  const std::string large(900'000, 'x');
  arrive({request("a", large), request("b", large), request("c", large)});
  core.settle();
  EXPECT_EQ(stored().size(), 2U);
  EXPECT_EQ(answers(), Texts{"c: QueueFull"});
  EXPECT_EQ(refused("queue_bytes"), 1U);
}

TEST_F(IntakeTest, what_was_sent_makes_room_and_nothing_that_waits_is_ever_removed) {
  options.queue_bytes_max = 2 << 20;
  begin();
  const std::string large(300'000, 'x');
  // Each is sent before the next comes: many times what the stream holds.
  for (int i = 0; i < 60; ++i) {
    arrive({request(std::to_string(i), large)});
    core.settle();
    core.run([&] {
      const auto* stream =
          core.catalog->find(queue_stream_name("firehose", false, options.default_target));
      sent_below = stream->log()->visible_end() - 3;
      EXPECT_LE(stream->log()->oldest(), std::max(SequenceNumber(0), sent_below));
    });
  }
  EXPECT_EQ(acknowledged().size(), 60U);
  EXPECT_EQ(answers(), Texts{});
}

TEST_F(IntakeTest,
       there_are_queues_for_so_many_delivery_streams_and_the_default_one_always_has_one) {
  begin();
  Texts messages;
  for (std::size_t i = 0; i <= kTargetsMax; ++i) {
    messages.push_back(
        request(std::to_string(i), "x",
                "arn:aws:firehose:us-east-1:123456789012:deliverystream/s" + std::to_string(i)));
  }
  arrive(messages);
  arrive({request("default", "x")});
  EXPECT_EQ(acknowledged().size(), kTargetsMax + 2);
  EXPECT_EQ(answers(), (Texts{"63: InvalidRequest", "64: InvalidRequest"}));
  EXPECT_EQ(stored(), Texts{"default=x"});
}

TEST_F(IntakeTest, a_record_that_the_disk_does_not_take_is_tried_again_before_anything_later) {
  begin();
  arrive({request("first", "makes the stream")});
  ASSERT_EQ(acknowledged(), Packets{1});
  core.run([&] {
    core.disk.fail_call(file::Call::kWrite, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
  });
  arrive({request("a", "1"), request("b", "2")});
  arrive({request("c", "3")});
  EXPECT_EQ(acknowledged(), Packets{1});
  core.pass_time();
  EXPECT_EQ(acknowledged(), Packets{1});
  core.run([&] { core.disk.clear_faults(); });
  for (int i = 0; i < 5 && acknowledged().size() < 4; ++i) core.pass_time();
  EXPECT_EQ(acknowledged(), (Packets{1, 2, 3, 4}));
  EXPECT_EQ(stored(), (Texts{"first=makes the stream", "a=1", "b=2", "c=3"}));
}

TEST_F(IntakeTest, a_queue_that_somebody_deleted_is_made_again) {
  begin();
  arrive({request("a", "1")});
  core.settle();
  core.run([&] {
    core.catalog->remove(queue_stream_name("firehose", false, options.default_target),
                         [](const Result<void>&) {});
  });
  core.settle();
  arrive({request("b", "2")});
  EXPECT_EQ(acknowledged(), (Packets{1, 2}));
  EXPECT_EQ(stored(), Texts{"b=2"});
}

TEST_F(IntakeTest, once_weir_stops_nothing_is_acknowledged_any_more) {
  begin();
  core.run([&] { core.appends.close(); });
  arrive({request("a", "1")});
  EXPECT_EQ(acknowledged(), Packets{});
}

}  // namespace
}  // namespace weir::connector
