#include "connector/connector.h"

#include "base/rng.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "connector/testing.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::connector {
namespace {

using testing::Core;
using testing::FakeClient;
using testing::options_for_test;
using Packets = std::vector<std::uint16_t>;
using State = ConnectorView::State;

class ConnectorTest : public ::testing::Test {
 protected:
  void begin() {
    environment = std::make_unique<Environment>(
        Environment{core, clock, core.metrics, core.appends,
                    [this](const mqtt::Options& wanted) -> Result<std::unique_ptr<mqtt::Client>> {
                      asked = wanted;
                      if (broken) return fail(*broken);
                      auto made = std::make_unique<FakeClient>();
                      client = made.get();
                      return made;
                    },
                    core.later(), [](const stream::Stream&) { return SequenceNumber(); },
                    [](StreamId, const std::function<void()>& done) { done(); },
                    [this](StreamId, const std::string& identifier) { woken = identifier; }});
    connector = std::make_unique<Connector>(options, *environment);
    core.run([this] { connector->start(); });
  }
  void TearDown() override {
    if (connector != nullptr) connector->stop();
    core.stop();
    connector.reset();
  }
  void arrive(std::string_view payload, std::uint16_t packet) {
    connector->on_arrival({options.message_topic, as_bytes(payload), false, false, {1, packet}});
  }
  void arrive_request(const std::string& id, std::uint16_t packet) {
    arrive(R"({"request":{"data":"x"},"id":")" + id + "\"}", packet);
  }

  Options options = options_for_test();
  Core core;
  ManualClock clock;
  std::optional<Error> broken;
  mqtt::Options asked;
  FakeClient* client = nullptr;
  std::string woken;
  std::unique_ptr<Environment> environment;
  std::unique_ptr<Connector> connector;
};

TEST_F(ConnectorTest, listens_to_both_topics) {
  begin();
  EXPECT_EQ(asked.filters, (std::vector<std::string>{"kinesisfirehose/message",
                                                     "kinesisfirehose/message/binary/#"}));
  EXPECT_GE(asked.packet_bytes_max, 6 * kDataBytesMax);
}

TEST_F(ConnectorTest, what_one_read_brought_is_acknowledged_in_order_once_it_is_stored) {
  begin();
  connector->on_connected(false);
  arrive_request("a", 1);
  arrive("bad", 2);
  arrive_request("c", 3);
  EXPECT_EQ(client->acknowledged(), Packets{});
  connector->on_arrivals_end();
  core.settle();
  EXPECT_EQ(client->acknowledged(), (Packets{1, 2, 3}));
  EXPECT_EQ(connector->view().unacknowledged_messages, 0);
}

TEST_F(ConnectorTest, qos_0_is_stored_and_needs_no_acknowledgement) {
  begin();
  arrive_request("a", 0);
  connector->on_arrivals_end();
  core.settle();
  EXPECT_EQ(client->acknowledged(), Packets{});
  EXPECT_EQ(core.payloads(queue_stream_name("firehose", false, options.default_target)).size(), 1U);
  EXPECT_EQ(connector->view().unacknowledged_messages, 0);
}

TEST_F(ConnectorTest, while_it_stops_it_takes_nothing_more_and_acknowledges_what_it_has) {
  begin();
  arrive_request("a", 1);
  connector->on_arrivals_end();
  connector->stop();
  arrive_request("b", 2);
  connector->on_arrivals_end();
  core.settle();
  EXPECT_EQ(client->acknowledged(), Packets{1});
  EXPECT_EQ(connector->view().state, State::kStopped);
}

TEST_F(ConnectorTest, what_the_core_has_not_stored_is_bounded_and_the_client_waits) {
  begin();
  arrive_request("makes the stream", 1);
  connector->on_arrivals_end();
  core.settle();
  std::promise<void> go;
  core.post([gone = go.get_future().share()] { gone.wait(); });  // the core thread is busy
  const std::string large(1'000'000, 'x');
  std::atomic<int> read = 0;
  std::thread socket([&] {
    for (int i = 0; i < 40; ++i) {
      connector->on_arrival({"kinesisfirehose/message/binary/id",
                             as_bytes(large),
                             false,
                             false,
                             {1, static_cast<std::uint16_t>(i + 2)}});
      ++read;
      connector->on_arrivals_end();
    }
  });
  while (connector->view().unacknowledged_messages < 17) std::this_thread::yield();
  EXPECT_LE(read, 17);
  go.set_value();
  socket.join();
  core.settle();
  EXPECT_EQ(client->acknowledged().size(), 41U);
}

TEST_F(ConnectorTest, says_in_words_why_it_is_not_connected_and_when_it_tries_again) {
  begin();
  connector->on_connected(true);
  EXPECT_EQ(connector->view().state, State::kConnected);
  connector->on_disconnected({Errc::kUnavailable, "connection refused"}, std::chrono::seconds(4));
  const auto view = connector->view();
  EXPECT_EQ(view.state, State::kDisconnected);
  EXPECT_EQ(view.reason, "connection refused");
  EXPECT_EQ(view.next_try_in_ms, 4'000);
}

TEST_F(ConnectorTest, a_refused_filter_is_shown_until_the_next_connection) {
  begin();
  connector->on_connected(false);
  connector->on_filter_refused("kinesisfirehose/message", 0x87);
  EXPECT_NE(connector->view().reason.find("kinesisfirehose/message"), std::string::npos);
  EXPECT_NE(connector->view().reason.find("0x87"), std::string::npos);
  connector->on_disconnected({Errc::kUnavailable, "x"}, std::chrono::seconds(1));
  connector->on_connected(true);
  EXPECT_EQ(connector->view().reason, "");
}

TEST_F(ConnectorTest, a_filter_that_is_granted_later_is_complained_of_no_more) {
  begin();
  connector->on_connected(false);
  connector->on_filter_refused("kinesisfirehose/message", 0x87);
  connector->on_filter_refused("kinesisfirehose/message/binary/#", 0x87);
  connector->on_filter_granted("kinesisfirehose/message");
  const std::string reason = connector->view().reason;
  EXPECT_EQ(reason.find("'kinesisfirehose/message'"), std::string::npos) << reason;
  EXPECT_NE(reason.find("'kinesisfirehose/message/binary/#'"), std::string::npos) << reason;
  connector->on_filter_granted("kinesisfirehose/message/binary/#");
  EXPECT_EQ(connector->view().reason, "");
}

TEST_F(ConnectorTest, what_was_too_large_to_receive_is_counted_and_answered_by_its_topic) {
  begin();
  connector->on_connected(false);
  arrive_request("a", 1);
  connector->on_too_large("kinesisfirehose/message/binary/huge", 9 << 20);
  connector->on_too_large("kinesisfirehose/message", 9 << 20);
  arrive_request("b", 4);
  connector->on_arrivals_end();
  core.settle();
  EXPECT_EQ(client->acknowledged(), (Packets{1, 4})) << "the client did the others by itself";
  EXPECT_EQ(connector->view().unacknowledged_messages, 0);
  std::vector<std::string> refused;
  for (const std::string& text : core.payloads(answers_stream_name("firehose"))) {
    const auto document = nlohmann::json::parse(text);
    for (const auto& one : document.at("response")) {
      EXPECT_EQ(one.at("ErrorCode"), "InvalidRequest");
      EXPECT_EQ(one.at("ErrorMessage"), "the message has 9437184 bytes, at most 1024000 are taken");
      refused.push_back(one.at("id").get<std::string>());
    }
  }
  EXPECT_EQ(refused, (std::vector<std::string>{"huge", ""}));
  EXPECT_NE(core.metrics.text().find("reason=\"too_large\"} 2"), std::string::npos);
}

TEST_F(ConnectorTest, files_that_cannot_be_read_are_tried_again) {
  broken = Error{Errc::kInvalidArgument, "read the CA file /none: No such file or directory"};
  begin();
  EXPECT_EQ(connector->view().state, State::kBroken);
  EXPECT_NE(connector->view().reason.find("/none"), std::string::npos);
  broken.reset();
  core.pass_time();
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(client->listener.load(), connector.get());
}

TEST_F(ConnectorTest, a_new_connection_ends_the_wait_of_answers) {
  begin();
  arrive("bad", 1);
  connector->on_arrivals_end();
  core.settle();
  connector->on_connected(true);
  core.settle();
  EXPECT_EQ(woken, kAnswersExport);
}

// Everything that arrives leads to exactly one item, however damaged it is.
TEST(Reader, makes_of_any_bytes_one_record_or_one_refusal) {
  constexpr std::uint64_t kSeed = 20'261'120;
  SCOPED_TRACE(kSeed);
  Rng rng(kSeed);
  const Options options = options_for_test();
  Reader reader(options);
  const std::string sound = R"({"request":{"data":"t\u00e4xt","delivery_stream_arn":")" +
                            std::string(testing::kLakeArn) +
                            R"("},"id":"r-17","more":[1,{"a":null}]})";
  std::size_t records = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = sound;
    for (std::uint64_t changes = rng.below(4); changes-- > 0;) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(3)) {
        case 0:
          text[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          text.erase(at, 1 + rng.below(8));
          break;
        default:
          text.insert(at, text.substr(rng.below(text.size()), rng.below(20)));
      }
      if (text.empty()) break;
    }
    Group group;
    const char* reason =
        reader.read({options.message_topic, as_bytes(text), false, false, {1, 1}}, group);
    ASSERT_EQ(group.items.size(), 1U) << text;
    const auto& item = group.items[0];
    ASSERT_EQ(item.refusal < 0, reason == nullptr) << text;
    if (reason == nullptr) {
      ++records;
      ASSERT_TRUE(nlohmann::json::accept(text)) << text;
      ASSERT_GT(item.size, 0U);
    } else {
      ASSERT_EQ(group.refusals.size(), 1U);
      ASSERT_FALSE(group.refusals[0].message.empty());
    }
  }
  EXPECT_GT(records, 1'000U);
}

}  // namespace
}  // namespace weir::connector
