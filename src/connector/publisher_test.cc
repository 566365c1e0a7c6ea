#include "connector/publisher.h"

#include "connector/metrics.h"
#include "connector/testing.h"
#include "destination/testing/scripted_client.h"

#include <gtest/gtest.h>
#include <map>
#include <thread>

namespace weir::connector {
namespace {

using destination::testing::verdicts;
using exporter::FailureClass;
using testing::FakeClient;
using Texts = std::vector<std::string>;

// The broker answers each publish at once with `reason`, unless that is none.
class PublisherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client.answer = [this](std::uint64_t token) {
      const auto own = reasons.find(token);
      const auto reason = own == reasons.end() ? otherwise : own->second;
      if (reason) publisher.published({token, *reason, ""});
    };
    publisher.use(client);
    publisher.connected();
  }
  exporter::Outcome deliver(const Texts& messages, std::int64_t first = 100) {
    exporter::Batch batch("firehose-answers.firehose", "answers");
    for (const auto& one : messages) batch.add(SequenceNumber(first++), 1, as_bytes(one));
    return publisher.deliver(batch, stop.get_token());
  }
  Texts sent() const {
    Texts all;
    for (const auto& one : client.sent()) all.push_back(one.payload);
    return all;
  }

  Options options = testing::options_for_test();
  metrics::Registry metrics;
  FakeClient client;
  Publisher publisher{options, metrics};
  std::map<std::uint64_t, std::optional<std::uint8_t>> reasons;
  std::optional<std::uint8_t> otherwise = 0;
  std::stop_source stop;
};

TEST_F(PublisherTest, messages_are_published_in_order_on_the_status_topic) {
  EXPECT_EQ(deliver({"a", "b", "c"}).verdict, exporter::Verdict::kDelivered);
  EXPECT_EQ(sent(), (Texts{"a", "b", "c"}));
  EXPECT_EQ(client.sent()[0].topic, "kinesisfirehose/message/status");
}

TEST_F(PublisherTest, that_nobody_listens_is_no_failure) {
  otherwise = 0x10;
  EXPECT_EQ(verdicts(deliver({"a"})), "d");
}

TEST_F(PublisherTest, without_a_connection_nothing_is_handed_over) {
  publisher.disconnected("connection refused");
  const auto outcome = deliver({"a"});
  EXPECT_EQ(verdicts(outcome), "r");
  EXPECT_TRUE(outcome.connection_failed);
  EXPECT_NE(outcome.error.find("connection refused"), std::string::npos);
  EXPECT_EQ(sent(), Texts{});
}

TEST_F(PublisherTest, what_the_client_has_is_not_handed_over_twice) {
  reasons[101] = std::nullopt;  // the connection is lost before this is answered
  std::thread cable([this] {
    while (client.sent().size() < 3) std::this_thread::yield();
    publisher.disconnected("reset");
  });
  EXPECT_EQ(verdicts(deliver({"a", "b", "c"})), "drd");
  cable.join();
  publisher.connected();
  publisher.published({101, 0, ""});  // the client has sent it again by itself
  exporter::Batch again("firehose-answers.firehose", "answers");
  again.add(SequenceNumber(101), 1, as_bytes("b"));
  EXPECT_EQ(verdicts(publisher.deliver(again, {})), "d");
  EXPECT_EQ(sent(), (Texts{"a", "b", "c"}));
}

TEST_F(PublisherTest, reasons_have_the_class_that_decides_what_happens_next) {
  const std::map<std::uint8_t, FailureClass> kept = {
      {0x97, FailureClass::kThrottle},  {0x80, FailureClass::kTransient},
      {0x83, FailureClass::kTransient}, {0x88, FailureClass::kTransient},
      {0x89, FailureClass::kTransient}, {0x8B, FailureClass::kTransient},
      {0x9F, FailureClass::kTransient}, {0x87, FailureClass::kOperator},
      {0x8A, FailureClass::kOperator},  {0x84, FailureClass::kOperator},
      {0x85, FailureClass::kOperator},  {0x86, FailureClass::kOperator},
  };
  std::int64_t number = 1;
  for (const auto& [reason, failure] : kept) {
    otherwise = reason;
    const auto outcome = deliver({"a"}, number++);
    EXPECT_EQ(verdicts(outcome), "r");
    EXPECT_EQ(outcome.failure, failure) << int{reason};
    EXPECT_NE(publisher.complaint(), "");
  }
  for (const int reason : {0x90, 0x95, 0x99}) {
    otherwise = static_cast<std::uint8_t>(reason);
    EXPECT_EQ(verdicts(deliver({"a"}, number++)), "x") << reason;
  }
  EXPECT_EQ(metrics.counter(kLostAnswersTotal, {"firehose", "refused"}).value(), 3U);
  otherwise = 0;
  deliver({"a"}, number);
  EXPECT_EQ(publisher.complaint(), "");
}

TEST_F(PublisherTest, a_refusal_says_which_topic_and_what_to_do) {
  otherwise = 0x87;
  EXPECT_NE(deliver({"a"}).error.find("kinesisfirehose/message/status"), std::string::npos);
  EXPECT_NE(publisher.complaint().find("access list"), std::string::npos);
  EXPECT_NE(publisher.complaint().find("0x87"), std::string::npos);
}

TEST_F(PublisherTest, a_message_that_the_client_can_never_send_is_dropped_and_the_next_one_flows) {
  client.takes_bytes = 10;
  EXPECT_EQ(verdicts(deliver({std::string(11, 'x'), "b"})), "xd");
  EXPECT_EQ(sent(), Texts{"b"});
}

TEST_F(PublisherTest, a_stop_ends_the_wait_for_the_broker) {
  otherwise = std::nullopt;
  stop.request_stop();
  EXPECT_EQ(verdicts(deliver({"a"})), "r");
}

}  // namespace
}  // namespace weir::connector
