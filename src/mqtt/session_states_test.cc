#include "base/rng.h"
#include "mqtt/testing_session.h"

#include <gmock/gmock.h>
#include <map>

namespace weir::mqtt {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using ::testing::ElementsAre;
using testing::kYes5;
using testing::SessionTest;

// --- Every state, every event ---

enum class Event {
  kClosed,
  kLost,
  kYes,
  kNo,
  kMessage,
  kGarbage,
  kLater,
  kPublish,
  kReceipt,
  kStop
};

TEST_F(SessionTest, every_event_in_every_state_leads_where_it_should) {
  using State = Session::State;
  const std::vector<State> states{State::kWaiting, State::kOpening, State::kGreeting,
                                  State::kConnected, State::kStopped};
  // In the order of `states`.
  const std::map<Event, std::vector<State>> leads_to{
      {Event::kClosed,
       {State::kWaiting, State::kWaiting, State::kWaiting, State::kWaiting, State::kStopped}},
      {Event::kLost,
       {State::kWaiting, State::kWaiting, State::kWaiting, State::kWaiting, State::kStopped}},
      {Event::kYes,
       {State::kWaiting, State::kOpening, State::kConnected, State::kWaiting, State::kStopped}},
      {Event::kNo,
       {State::kWaiting, State::kOpening, State::kWaiting, State::kWaiting, State::kStopped}},
      {Event::kMessage,
       {State::kWaiting, State::kOpening, State::kWaiting, State::kConnected, State::kStopped}},
      {Event::kGarbage,
       {State::kWaiting, State::kOpening, State::kWaiting, State::kWaiting, State::kStopped}},
      {Event::kLater,
       {State::kWaiting, State::kWaiting, State::kWaiting, State::kConnected, State::kStopped}},
      {Event::kPublish,
       {State::kWaiting, State::kOpening, State::kGreeting, State::kConnected, State::kStopped}},
      {Event::kReceipt,
       {State::kWaiting, State::kOpening, State::kGreeting, State::kConnected, State::kStopped}},
      {Event::kStop,
       {State::kStopped, State::kStopped, State::kStopped, State::kStopped, State::kStopped}},
  };
  for (const auto& [event, ends] : leads_to) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      session.reset();
      make();
      if (states[i] == State::kOpening) session->begin(now);
      if (states[i] == State::kGreeting) greet();
      if (states[i] == State::kConnected) connect();
      if (states[i] == State::kStopped) session->stop();
      ASSERT_EQ(session->state(), states[i]);
      diary = {};
      const bool was_trying = states[i] == State::kOpening || session->open();
      switch (event) {
        case Event::kClosed:
          session->on_closed(now);
          break;
        case Event::kLost:
          session->on_lost(now, {Errc::kUnavailable, "cut"});
          break;
        case Event::kYes:
          receive(kYes5);
          break;
        case Event::kNo:
          receive("2003008700");
          break;
        case Event::kMessage:
          receive(message(1, 'a'));
          break;
        case Event::kGarbage:
          receive("ffffffffffff");
          break;
        case Event::kLater:
          pass(1h);
          break;
        case Event::kPublish:
          publish(1);
          break;
        case Event::kReceipt:
          session->acknowledge({{session->open() ? 1U : 0U, 1}});
          break;
        case Event::kStop:
          session->stop();
          break;
      }
      const std::string which = fmt::format("event {} in state {}", static_cast<int>(event), i);
      EXPECT_EQ(session->state(), ends[i]) << which;
      const bool ended = was_trying && ends[i] == State::kWaiting;
      EXPECT_EQ(diary.reasons.size(), ended ? 1U : 0U) << which;
      if (ended) {
        EXPECT_EQ(session->next_event(), now + diary.waits.back()) << which;
      }
    }
  }
}

// --- However the bytes come ---

TEST_F(SessionTest, bytes_cut_anywhere_mean_the_same) {
  const std::string stream =
      message(1, 'a') + "d000" + message(2, 'b') + "40020002" + message(3, 'c', 0x33) + "e0018b";
  const ByteVector bytes = bytes_of(stream);
  std::vector<std::string> expected;
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      session.reset();
      connect();
      publish(1);
      sent();
      diary.lines.clear();
      ByteVector buffer;
      std::size_t begin = 0;
      for (const std::size_t end : {first, second, bytes.size()}) {
        buffer.insert(buffer.end(), bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                      bytes.begin() + static_cast<std::ptrdiff_t>(end));
        begin = end;
        const std::size_t taken = session->on_bytes(now, buffer);
        buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(taken));
      }
      EXPECT_TRUE(buffer.empty());
      std::erase(diary.lines, "end");
      if (expected.empty()) expected = diary.lines;
      ASSERT_EQ(diary.lines, expected) << first << " " << second;
    }
  }
  EXPECT_THAT(expected,
              ElementsAre("in/1=a", "in/1=b", "published 1 0x00", "in/1=c retained", "lost"));
}

TEST_F(SessionTest, the_room_that_a_packet_needs_is_known) {
  connect();
  receive("32e807");
  EXPECT_EQ(session->bytes_needed(), 3U + 1'000U);
}

// --- A broker that fails at random ---

// Sees what the session sends as a broker does, and answers or breaks off as the dice fall.
class RandomBroker {
 public:
  explicit RandomBroker(std::uint64_t seed) : rng(seed) {}

  // PUBACKs for what was sent, in order, until it loses interest.
  std::string answers(const std::vector<std::string>& packets) {
    std::string hex;
    for (const std::string& packet : packets) {
      if (packet[0] != '3') continue;
      const ByteVector bytes = bytes_of(packet);
      const auto publish = decode_publish(split_packet(bytes).packet, Version::k5);
      if (!publish) continue;
      const std::string payload(as_text(publish->payload));
      const bool duplicate = publish->duplicate;
      const auto known = session.find(publish->packet_id);
      if (known != session.end() && known->second != payload) confused = true;
      // A duplicate of what was never heard is new: it was lost on the way.
      if (!(duplicate && known != session.end())) heard.push_back(payload);
      session[publish->packet_id] = payload;
      if (silent || (moody && rng.chance(0.2))) {
        silent = true;  // answers keep their order, so nothing after a missing one is answered
        continue;
      }
      hex += fmt::format("4002{:04x}", publish->packet_id);
      session.erase(publish->packet_id);
    }
    return hex;
  }

  Rng rng;
  std::map<std::uint16_t, std::string> session;  ///< taken, and the answer may be lost
  std::vector<std::string> heard;
  bool silent = false;
  bool moody = true;
  bool confused = false;
};

TEST_F(SessionTest, every_message_arrives_in_order_whatever_breaks) {
  options.filters.clear();
  options.keep_alive = 0s;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    session.reset();
    diary = {};
    make();
    RandomBroker broker(seed);
    std::uint64_t token = 0;
    for (int round = 0; round < 30; ++round) {
      for (auto more = broker.rng.below(4); more > 0; --more) {
        ++token;
        publish(token, std::to_string(token));
      }
      greet();
      broker.moody = round < 29;
      broker.silent = broker.moody && broker.rng.chance(0.3);
      const bool kept = broker.rng.chance(0.5);
      if (!kept) broker.session.clear();
      receive(kept ? "2006010003210003" : "2006000003210003");
      for (int turn = 0; turn < (round < 29 ? 3 : 1'000); ++turn) {
        const auto packets = sent();
        if (broker.moody && broker.rng.chance(0.2)) break;  // lost on the way
        receive(broker.answers(packets));
      }
      if (round < 29) session->on_closed(now);
    }
    EXPECT_FALSE(broker.confused);
    // Without repetitions, what the broker heard is everything, in order.
    std::vector<std::string> first_times;
    for (const std::string& payload : broker.heard) {
      if (std::find(first_times.begin(), first_times.end(), payload) == first_times.end()) {
        first_times.push_back(payload);
      }
    }
    std::vector<std::string> all;
    std::vector<std::string> answered;
    for (std::uint64_t i = 1; i <= token; ++i) {
      all.push_back(std::to_string(i));
      answered.push_back(fmt::format("published {} 0x00", i));
    }
    EXPECT_EQ(first_times, all);
    std::erase_if(diary.lines, [](const std::string& line) { return !line.starts_with("pub"); });
    EXPECT_EQ(diary.lines, answered);
  }
}

}  // namespace
}  // namespace weir::mqtt
