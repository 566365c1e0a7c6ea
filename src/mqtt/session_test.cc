#include "base/log.h"
#include "mqtt/testing_session.h"

#include <gmock/gmock.h>
#include <map>

namespace weir::mqtt {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::hex_of;
using ::testing::IsEmpty;
using testing::kYes5;
using testing::kYesAgain5;
using testing::SessionTest;

// --- Greeting and subscribing ---

TEST_F(SessionTest, a_connection_is_greeted_and_subscribed_to) {
  make();
  EXPECT_TRUE(session->connection_due(now));
  session->begin(now);
  EXPECT_TRUE(session->output().empty());
  session->on_open(now, "secret");
  // Keep alive 60 s, a session of a week, 4 messages, 4 MiB, "weir-1", no user, "secret".
  EXPECT_THAT(sent(), ElementsAre("102800044d5154540540003c0d1100093a8021000427004000000006"
                                  "776569722d310006736563726574"));
  receive(kYes5);
  EXPECT_THAT(sent(), ElementsAre("820a0001000004696e2f2311"));
  receive(suback("0001", "01"));
  EXPECT_THAT(diary.take(), ElementsAre("connected"));
}

TEST_F(SessionTest, many_filters_go_in_packets_of_eight) {
  options.filters.assign(17, "f");
  greet();
  receive(kYes5);
  const auto packets = sent();
  ASSERT_EQ(packets.size(), 3U);
  EXPECT_EQ(packets[2],
            "8207000300000166"
            "11");
  receive(suback("0002", "0101010101010101"));
  receive(suback("0001", "0101010101010101"));
  receive(suback("0003", "01"));
  EXPECT_THAT(diary.take(), ElementsAre("connected"));
}

TEST_F(SessionTest, a_refused_filter_is_told_and_tried_again_while_the_others_work) {
  options.filters = {"a", "b"};
  options.keep_alive = 0s;
  options.connect_timeout = 1h;
  greet();
  receive(kYes5);
  EXPECT_EQ(sent_hex(),
            "820b000100000161110001"
            "6211");
  receive(suback("0001", "0187"));
  EXPECT_THAT(diary.take(), ElementsAre("connected", "refused b 0x87"));
  EXPECT_EQ(session->next_event(), now + options.backoff_max);
  pass(options.backoff_max);
  EXPECT_EQ(sent_hex(), "820700020000016211");
  receive(suback("0002", "87"));
  EXPECT_THAT(diary.take(), IsEmpty()) << "told once";
  pass(options.backoff_max);
  EXPECT_EQ(sent_hex(), "820700030000016211");
  receive(suback("0003", "01"));
  EXPECT_THAT(diary.take(), ElementsAre("granted b"));
  EXPECT_EQ(session->next_event(), Instant::max());
}

TEST_F(SessionTest, the_client_id_that_the_broker_gave_is_kept) {
  options.client_id = "";
  options.filters.clear();
  connect("2009000006120003616263");  // "abc"
  session->on_closed(now);
  now = session->next_event();
  session->begin(now);
  session->on_open(now, std::nullopt);
  EXPECT_TRUE(sent_hex().ends_with("0003616263"));
}

TEST_F(SessionTest, a_broker_that_never_answers_subscribe_is_left) {
  greet();
  receive(kYes5);
  sent();
  pass(options.connect_timeout - 1ms);
  EXPECT_TRUE(session->open());
  pass(1ms);
  EXPECT_FALSE(session->open());
  EXPECT_EQ(sent_hex(), "e00182");
  EXPECT_THAT(diary.reasons.back(), HasSubstr("did not answer SUBSCRIBE"));
}

TEST_F(SessionTest, a_broker_that_will_forget_us_is_told_of) {
  static std::vector<std::string> said;
  said.clear();
  log::capture([](log::Level, const std::string& line) { said.push_back(line); });
  options.filters.clear();
  connect("20080000051100000000");  // it keeps the session for 0 s
  log::capture(nullptr);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_THAT(said[0], HasSubstr("The broker forgets this client"));
}

// --- Refusals, and what is no broker ---

TEST_F(SessionTest, refusals_say_what_to_do) {
  const std::map<std::string, std::string> refusals{
      {"2003008600", "bad user name or password (0x86): check the user name and the password file"},
      {"2003008700", "not authorised (0x87)"},
      {"20020001", "unsupported protocol version (return code 1): choose the other version"},
      {"200800009e", ""},
      {"200a00870"
       "71f0004"
       "6e6f7065",
       "in its words: nope"},
      {"200a009d071c0004"
       "622e6465",
       "server moved (0x9d): change the broker's address to b.de"},
  };
  for (const auto& [hex, words] : refusals) {
    if (words.empty()) continue;
    session.reset();
    greet();
    receive(hex);
    EXPECT_EQ(session->state(), Session::State::kWaiting) << hex;
    EXPECT_THAT(diary.reasons.back(), HasSubstr(words)) << hex;
    EXPECT_TRUE(session->output().empty()) << "a refused connection has no last words";
  }
}

TEST_F(SessionTest, something_that_is_not_a_broker_is_called_so) {
  greet();
  receive(hex_of(as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n")));
  EXPECT_THAT(diary.reasons.back(),
              HasSubstr("127.0.0.1:1883: does not speak MQTT; its answer begins with 'HTTP/1.1"));
  session.reset();
  greet();
  receive("15030100020246");
  EXPECT_THAT(diary.reasons.back(), HasSubstr("answers in TLS: switch TLS on"));
  session.reset();
  greet();
  receive("20ffffffffff");
  EXPECT_THAT(diary.reasons.back(), HasSubstr("does not speak MQTT"));
  session.reset();
  greet();
  session->on_closed(now);
  EXPECT_THAT(diary.reasons.back(), HasSubstr("instead of answering CONNECT"));
}

TEST_F(SessionTest, a_broker_that_says_good_bye_is_quoted) {
  connect();
  receive("e0018e");
  EXPECT_THAT(diary.reasons.back(), HasSubstr("session taken over (0x8e): another client connected "
                                              "with the client id 'weir-1'; give each its own"));
  connect();
  receive(
      "e00a8b081f0005"
      "736f6f6e21");
  EXPECT_THAT(diary.reasons.back(), HasSubstr("server shutting down (0x8b), in its words: soon!"));
  EXPECT_TRUE(session->output().empty());
}

TEST_F(SessionTest, packets_that_have_no_place_end_the_connection_with_a_reason) {
  const std::map<std::string, std::string> wrong{
      {"2003000000", "82"},    // CONNACK twice
      {"50020001", "82"},      // PUBREC: nothing goes out with QoS 2
      {"70020001", "82"},      // PUBCOMP
      {"b00400010000", "82"},  // UNSUBACK
      {"f000", "82"},          // AUTH
      {"c000", "82"},          // PINGREQ
      {"10020000", "82"},      // CONNECT
      {"0000", "82"},          // reserved
      {"900400090001", "82"},  // SUBACK for nothing
      {"4001"
       "00",
       "81"},                  // PUBACK cut off
      {"30ffffffff7f", "81"},  // length
      {"3003000100", "81"},    // topic
      {"30ffffff7f", "95"},    // larger than allowed
      {"d00100", "81"},        // PINGRESP with a body
  };
  for (const auto& [hex, reason] : wrong) {
    session.reset();
    connect();
    receive(hex);
    EXPECT_FALSE(session->open()) << hex;
    EXPECT_EQ(sent_hex(), "e001" + reason) << hex;
    EXPECT_THAT(diary.take(), ElementsAre("lost")) << hex;
  }
}

// --- Arrivals and their acknowledgement ---

TEST_F(SessionTest, nothing_is_acknowledged_before_its_owner_says_so) {
  connect();
  receive(message(1, 'a') + message(2, 'b'));
  EXPECT_THAT(diary.take(), ElementsAre("in/1=a", "in/1=b", "end"));
  EXPECT_THAT(sent(), IsEmpty());
  session->acknowledge(diary.receipts);
  EXPECT_THAT(sent(), ElementsAre("40020001", "40020002"));
}

TEST_F(SessionTest, acknowledgements_go_out_in_the_order_of_arrival) {
  connect();
  receive(message(7, 'a') + message(3, 'b') + message(5, 'c'));
  session->acknowledge({diary.receipts[2]});
  EXPECT_THAT(sent(), IsEmpty());
  session->acknowledge({diary.receipts[0]});
  EXPECT_THAT(sent(), ElementsAre("40020007"));
  session->acknowledge({diary.receipts[1], diary.receipts[1]});
  EXPECT_THAT(sent(), ElementsAre("40020003", "40020005"));
}

TEST_F(SessionTest, receipts_of_an_earlier_connection_are_worthless) {
  connect();
  receive(message(1, 'a'));
  session->on_closed(now);
  connect(kYesAgain5);
  receive(message(1, 'a', 0x3a));
  EXPECT_THAT(diary.take(), ElementsAre("in/1=a again", "end"));
  session->acknowledge({diary.receipts[0]});
  EXPECT_THAT(sent(), IsEmpty());
  session->acknowledge({diary.receipts[1]});
  EXPECT_THAT(sent(), ElementsAre("40020001"));
}

TEST_F(SessionTest, messages_with_qos_0_have_nothing_to_acknowledge) {
  connect();
  receive(
      "3108"
      "0004696e2f31"
      "00"
      "61");
  EXPECT_THAT(diary.take(), ElementsAre("in/1=a retained", "end"));
  session->acknowledge(diary.receipts);
  EXPECT_THAT(sent(), IsEmpty());
}

// A session of an earlier program may hold such messages; they must not block it for ever.
TEST_F(SessionTest, messages_with_qos_2_go_through_all_their_steps) {
  connect();
  receive(message(9, 'a', 0x34) + message(10, 'b'));
  session->acknowledge(diary.receipts);
  EXPECT_THAT(sent(), ElementsAre("50020009", "4002000a"));
  receive("62020009");
  EXPECT_THAT(sent(), ElementsAre("70020009"));
}

// As mosquitto 2.0.11 does: leaving it would bring the same again.
TEST_F(SessionTest, a_broker_that_sends_more_than_was_agreed_is_kept_waiting) {
  options.filters.clear();
  connect();
  receive(message(1, 'a') + message(2, 'b') + message(3, 'c') + message(4, 'd'));
  EXPECT_TRUE(session->reading_wanted()) << "four were agreed";
  receive(message(5, 'e') + message(6, 'f'));
  EXPECT_TRUE(session->open());
  EXPECT_FALSE(session->reading_wanted());
  // But not when the owner waits for an answer itself.
  publish(1);
  EXPECT_TRUE(session->reading_wanted());
  receive("40020001");
  EXPECT_FALSE(session->reading_wanted());
  session->acknowledge(diary.receipts);
  EXPECT_TRUE(session->reading_wanted());
  EXPECT_EQ(sent().size(), 1U + 6U);
}

TEST_F(SessionTest, two_messages_under_one_identifier_end_the_connection) {
  connect();
  receive(message(1, 'a') + message(1, 'b'));
  EXPECT_THAT(diary.take(), ElementsAre("in/1=a", "end", "lost"));
  EXPECT_EQ(sent_hex(), "e00182");
}

TEST_F(SessionTest, an_identifier_is_free_again_once_it_was_acknowledged) {
  connect();
  for (int round = 0; round < 1'000; ++round) {
    receive(message(1, 'a') + message(2, 'b'));
    session->acknowledge(std::exchange(diary.receipts, {}));
    ASSERT_THAT(sent(), ElementsAre("40020001", "40020002"));
  }
}

TEST_F(SessionTest, a_broker_of_3_1_1_is_kept_waiting_by_not_reading) {
  use_311();
  connect();
  EXPECT_TRUE(session->reading_wanted());
  receive(message_311(1, 'a') + message_311(2, 'b') + message_311(3, 'c') + message_311(4, 'd'));
  EXPECT_FALSE(session->reading_wanted());
  // What was in the same read is taken all the same.
  receive(message_311(5, 'e'));
  // A day without reading is no day without a broker.
  for (int i = 0; i < 24 * 60; ++i) pass(1min);
  EXPECT_TRUE(session->open());
  session->acknowledge(diary.receipts);
  EXPECT_TRUE(session->reading_wanted());
}

TEST_F(SessionTest, a_broker_of_3_1_1_that_repeats_itself_is_not_heard_twice) {
  use_311();
  connect();
  receive(message_311(1, 'a') + message_311(1, 'a', 0x3a));
  EXPECT_THAT(diary.take(), ElementsAre("in/1=a", "end"));
  session->acknowledge(diary.receipts);
  EXPECT_THAT(sent(), ElementsAre("40020001"));
}

TEST_F(SessionTest, a_message_that_is_too_large_is_passed_over_and_the_next_one_flows) {
  options.packet_bytes_max = 100;
  const std::string large =
      "32b601"
      "0004696e2f31"
      "0002" +
      std::string(std::size_t{2} * 174, 'a');
  const std::string all = message_311(1, 'a') + large + message_311(3, 'c');
  for (const std::size_t step : {1U, 2U, 7U, 100U, 1'000U}) {
    session.reset();
    diary = {};
    use_311();
    connect();
    const ByteVector bytes = bytes_of(all);
    ByteVector buffer;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
      buffer.insert(buffer.end(), from,
                    from + static_cast<std::ptrdiff_t>(std::min(step, bytes.size() - at)));
      const std::size_t taken = session->on_bytes(now, buffer);
      buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    std::erase(diary.lines, "end");
    EXPECT_THAT(diary.take(), ElementsAre("in/1=a", "too large in/1 185", "in/1=c")) << step;
    EXPECT_THAT(sent(), IsEmpty()) << "the one before it still waits";
    session->acknowledge(diary.receipts);
    EXPECT_THAT(sent(), ElementsAre("40020001", "40020002", "40020003")) << step;
  }
}

// --- Publishing ---

TEST_F(SessionTest, messages_wait_for_the_connection_and_then_for_the_window) {
  make();
  for (std::uint64_t token = 1; token <= 4; ++token) publish(token);
  EXPECT_THAT(sent(), IsEmpty());
  options.filters.clear();
  session.reset();
  make();
  for (std::uint64_t token = 1; token <= 4; ++token) publish(token);
  connect("2006000003210002");  // receive maximum 2
  EXPECT_THAT(first_words, ElementsAre("32070001740001"
                                       "0078",
                                       "32070001740002"
                                       "0078"));
  receive("40020001");
  EXPECT_THAT(diary.take(), ElementsAre("published 1 0x00"));
  EXPECT_THAT(sent(), ElementsAre("3207000174000300"
                                  "78"));
  receive(
      "4003000287"
      "4003000310");
  EXPECT_THAT(diary.take(), ElementsAre("published 2 0x87", "published 3 0x10"));
  EXPECT_THAT(sent(), ElementsAre("3207000174000400"
                                  "78"));
}

TEST_F(SessionTest, answers_in_another_order_find_their_messages) {
  options.filters.clear();
  connect();
  for (std::uint64_t token = 1; token <= 3; ++token) publish(token);
  sent();
  receive(
      "40020003"
      "40020001"
      "40020001"
      "40020002");
  EXPECT_THAT(diary.take(),
              ElementsAre("published 3 0x00", "published 1 0x00", "published 2 0x00"));
}

TEST_F(SessionTest, what_was_not_answered_is_repeated_in_the_session_that_knows_it) {
  options.filters.clear();
  connect("2006000003210002");
  for (std::uint64_t token = 1; token <= 3; ++token) publish(token);
  EXPECT_EQ(sent().size(), 2U);
  session->on_closed(now);
  connect(kYesAgain5);
  // The two under their identifiers, as duplicates; then the one that was never sent.
  EXPECT_THAT(first_words, ElementsAre("3a07000174000100"
                                       "78",
                                       "3a07000174000200"
                                       "78",
                                       "3207000174000300"
                                       "78"));
}

TEST_F(SessionTest, a_window_that_shrank_holds_for_repetitions_too) {
  options.filters.clear();
  connect();
  for (std::uint64_t token = 1; token <= 3; ++token) publish(token);
  sent();
  session->on_closed(now);
  connect("2006010003210001");
  EXPECT_THAT(first_words, ElementsAre("3a07000174000100"
                                       "78"));
  receive("40020001");
  EXPECT_THAT(sent(), ElementsAre("3a07000174000200"
                                  "78"));
}

TEST_F(SessionTest, a_broker_that_forgot_the_session_gets_everything_as_new) {
  options.filters.clear();
  connect();
  publish(1);
  publish(2);
  receive("40020001");
  sent();
  session->on_closed(now);
  publish(3);
  connect();
  EXPECT_THAT(first_words, ElementsAre("3207000174000300"
                                       "78",
                                       "3207000174000400"
                                       "78"));
  receive(
      "40020003"
      "40020004");
  EXPECT_THAT(diary.take(), ElementsAre("published 2 0x00", "published 3 0x00"));
}

TEST_F(SessionTest, a_message_too_large_for_the_broker_is_answered_here) {
  options.filters.clear();
  make();
  publish(1, std::string(60, 'x'));
  publish(2);
  connect("20080000052700000040");  // 64 bytes
  (void)diary;
  EXPECT_EQ(first_words.size(), 1U);
  EXPECT_FALSE(session->admit("t", 60)) << "now it is known beforehand";
  EXPECT_TRUE(session->admit("t", 64 - 8));
  EXPECT_FALSE(session->admit("t", 64 - 7));
}

TEST_F(SessionTest, a_message_too_large_for_the_broker_has_a_reason) {
  options.filters.clear();
  make();
  publish(1, std::string(60, 'x'));
  greet();
  receive("20080000052700000040");
  EXPECT_THAT(diary.take(),
              ElementsAre("connected", "published 1 0x95 68 bytes, and the broker takes 64"));
}

TEST_F(SessionTest, a_broker_without_qos_1_is_sent_to_without_it) {
  options.filters.clear();
  make();
  publish(1);
  greet();
  receive("20050000022400");
  EXPECT_THAT(diary.take(), ElementsAre("connected", "published 1 0x00"));
  EXPECT_THAT(sent(), ElementsAre("3005000174"
                                  "0078"));
}

TEST_F(SessionTest, what_may_wait_is_bounded) {
  options.filters.clear();
  make();
  std::uint64_t token = 0;
  while (session->admit("t", 10'000)) session->publish(++token, "t", std::string(10'000, 'x'));
  EXPECT_EQ(token, kWaitingBytesMax / (10'000 + 1 + kMessageOverheadBytes));
  connect();
  receive("40020001");
  EXPECT_TRUE(session->admit("t", 10'000));
  EXPECT_FALSE(session->admit("t", 10'000));
}

TEST_F(SessionTest, topics_that_the_broker_would_refuse_are_refused_here) {
  make();
  EXPECT_FALSE(session->admit("", 1));
  EXPECT_FALSE(session->admit("a/#", 1));
  EXPECT_FALSE(session->admit("\xff", 1));
  EXPECT_FALSE(session->admit(std::string(65'536, 'a'), 1));
}

TEST_F(SessionTest, the_output_is_bounded_while_the_socket_is_slow) {
  options.filters.clear();
  connect();
  for (std::uint64_t token = 1; token <= 30; ++token) publish(token, std::string(100'000, 'x'));
  EXPECT_LT(session->output().size(), kOutputBytesMax + 101'000);
  std::size_t seen = 0;
  while (!session->output().empty()) seen += sent().size();
  EXPECT_EQ(seen, 30U);
}

// --- Time ---

TEST_F(SessionTest, a_silent_connection_is_kept_alive_and_a_dead_one_noticed) {
  connect();
  EXPECT_EQ(session->next_event(), now + 45s);
  pass(45s - 1ms);
  EXPECT_THAT(sent(), IsEmpty());
  pass(1ms);
  EXPECT_THAT(sent(), ElementsAre("c000"));
  pass(1s);
  receive("d000");
  pass(43s);
  EXPECT_THAT(sent(), IsEmpty());
  pass(1s);
  EXPECT_THAT(sent(), ElementsAre("c000"));
  EXPECT_EQ(session->next_event(), now + 45s);
  pass(45s);
  EXPECT_FALSE(session->open());
  EXPECT_THAT(diary.reasons.back(),
              HasSubstr("keep alive expired: nothing came for 89000 ms, not even an answer"));
}

TEST_F(SessionTest, sending_alone_does_not_prove_that_the_broker_lives) {
  connect();
  for (std::uint64_t second = 1; second < 90; ++second) {
    publish(second);
    sent();
    pass(1s);
    EXPECT_TRUE(session->open()) << second;
  }
  pass(1s);
  EXPECT_FALSE(session->open());
}

TEST_F(SessionTest, a_process_that_slept_asks_before_it_gives_up) {
  connect();
  pass(24h);
  EXPECT_TRUE(session->open());
  EXPECT_THAT(sent(), ElementsAre("c000"));
}

TEST_F(SessionTest, the_broker_decides_about_keep_alive_and_0_means_none) {
  connect(
      "20060000031300"
      "14");  // 20 s
  EXPECT_EQ(session->next_event(), now + 15s);
  session.reset();
  connect("2006000003130000");
  EXPECT_EQ(session->next_event(), Instant::max());
}

TEST_F(SessionTest, a_try_has_its_time) {
  make();
  session->begin(now);
  EXPECT_EQ(session->next_event(), now + 10s);
  pass(10s);
  EXPECT_THAT(diary.reasons.back(), HasSubstr("no connection within 10000 ms"));
  greet();
  pass(10s);
  EXPECT_THAT(diary.reasons.back(), HasSubstr("no answer to CONNECT within 10000 ms"));
}

TEST_F(SessionTest, tries_become_rare_until_a_connection_has_lasted) {
  make();
  const auto fail_once = [this] {
    now = session->next_event();
    session->begin(now);
    session->on_lost(now, {Errc::kUnavailable, "no"});
    return diary.waits.back();
  };
  Duration ceiling = options.backoff_min;
  for (int i = 0; i < 10; ++i) {
    const Duration wait = fail_once();
    EXPECT_GE(wait, ceiling / 2);
    EXPECT_LE(wait, ceiling);
    ceiling = std::min(ceiling * 2, options.backoff_max);
  }
  // A broker that takes us and throws us out at once is as bad as none.
  connect();
  session->on_closed(now + 1s);
  EXPECT_GE(diary.waits.back(), options.backoff_max / 2);
  connect();
  session->on_closed(now + kSteadyAfter);
  EXPECT_LE(diary.waits.back(), options.backoff_min);
}

TEST_F(SessionTest, a_stop_says_good_bye) {
  connect();
  receive(message(1, 'a'));
  session->acknowledge(diary.receipts);
  session->stop();
  EXPECT_EQ(sent_hex(), "40020001e000");
  (void)diary.take();
  receive(message(2, 'a'));
  session->on_closed(now);
  session->on_lost(now, {});
  pass(24h);
  publish(1);
  EXPECT_THAT(diary.take(), IsEmpty());
  EXPECT_EQ(session->next_event(), Instant::max());
  EXPECT_FALSE(session->connection_due(now));
}

}  // namespace
}  // namespace weir::mqtt
