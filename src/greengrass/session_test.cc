#include "greengrass/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::greengrass {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::int32_t number(const Message& message, const char* name) {
  return message.int32(name).value_or(-999);
}
std::string text(const Message& message, const char* name) {
  const std::string* found = message.text(name);
  return found == nullptr ? "(absent)" : *found;
}

Message reply(std::int32_t type, std::int32_t flags, std::int32_t stream, std::string payload,
              const char* model = nullptr) {
  Message message{{{":message-type", type}, {":message-flags", flags}, {":stream-id", stream}}, {}};
  if (model != nullptr) message.headers.push_back({"service-model-type", std::string(model)});
  message.payload = std::move(payload);
  return message;
}

// A component's side of a conversation; the test is the nucleus.
class SessionTest : public ::testing::Test {
 protected:
  Session session_{"SVCUID-OF-WEIR"};
  ManualClock clock_;
  Decoder heard_;
  std::vector<std::string> outcomes_;

  // What the session_ sent since the last call.
  std::vector<Message> sent() {
    heard_.append(session_.output());
    session_.output().clear();
    std::vector<Message> messages;
    while (true) {
      auto next = heard_.next();
      EXPECT_TRUE(next);
      if (!next || !*next) return messages;
      messages.push_back(std::move(**next));
    }
  }
  Result<void> say(const Message& message) {
    const auto bytes = encode(message);
    EXPECT_TRUE(bytes);
    return session_.on_bytes(clock_.now(), *bytes);
  }
  void connect() {
    session_.on_open(clock_.now());
    sent();
    EXPECT_TRUE(say(reply(5, 1, 0, "")));
    EXPECT_TRUE(session_.accepted());
  }
  void ask(const std::string& name, Duration patience = seconds(5)) {
    session_.ask({name, "{}", clock_.now() + patience, [this, name](const Answer& answer) {
                    const char* kind = answer.kind == Answer::Kind::kOk        ? "ok"
                                       : answer.kind == Answer::Kind::kRefused ? "refused"
                                                                               : "unanswered";
                    outcomes_.push_back(name + " " + kind + " " + answer.error + " " + answer.text);
                  }});
  }
  Result<void> wait(Duration time) {
    clock_.advance(time);
    return session_.on_time(clock_.now());
  }
};

TEST_F(SessionTest, greets_with_its_token) {
  session_.on_open(clock_.now());
  const auto messages = sent();
  ASSERT_THAT(messages, SizeIs(1));
  ASSERT_THAT(messages[0].headers, SizeIs(4));
  EXPECT_EQ(messages[0].headers[0], (Header{":message-type", std::int32_t{4}}));
  EXPECT_EQ(messages[0].headers[1], (Header{":message-flags", std::int32_t{0}}));
  EXPECT_EQ(messages[0].headers[2], (Header{":stream-id", std::int32_t{0}}));
  EXPECT_EQ(messages[0].headers[3], (Header{":version", std::string("0.1.0")}));
  EXPECT_EQ(json::parse(messages[0].payload), (json{{"authToken", "SVCUID-OF-WEIR"}}));
  EXPECT_FALSE(session_.accepted());
}

TEST_F(SessionTest, asks_nothing_before_it_is_let_in) {
  ask("UpdateState");
  session_.on_open(clock_.now());
  EXPECT_THAT(sent(), SizeIs(1));
  EXPECT_TRUE(say(reply(5, 1, 0, "")));
  const auto messages = sent();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(number(messages[0], ":message-type"), 0);
  EXPECT_EQ(number(messages[0], ":message-flags"), 0);
  EXPECT_EQ(number(messages[0], ":stream-id"), 1);
  EXPECT_EQ(text(messages[0], "operation"), "aws.greengrass#UpdateState");
  EXPECT_EQ(text(messages[0], "service-model-type"), "aws.greengrass#UpdateStateRequest");
  EXPECT_EQ(text(messages[0], ":content-type"), "application/json");
}

TEST_F(SessionTest, is_told_why_it_is_not_let_in) {
  session_.on_open(clock_.now());
  const auto refused = say(reply(5, 0, 0, ""));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("SVCUID"));
  session_.on_lost("closed");
  session_.on_open(clock_.now());
  const auto given_up = say(reply(6, 0, 0, R"({"message":"go away"})"));
  ASSERT_FALSE(given_up);
  EXPECT_THAT(given_up.error().what, HasSubstr("go away"));
}

TEST_F(SessionTest, does_not_wait_for_ever_to_be_let_in) {
  session_.on_open(clock_.now());
  EXPECT_EQ(session_.next_event(), clock_.now() + Session::kGreetingPatience);
  EXPECT_TRUE(wait(Session::kGreetingPatience - milliseconds(1)));
  EXPECT_FALSE(wait(milliseconds(1)));
}

TEST_F(SessionTest, pairs_answers_with_requests_in_any_order) {
  connect();
  ask("One");
  ask("Two");
  ask("Three");
  EXPECT_THAT(sent(), SizeIs(3));
  EXPECT_TRUE(say(reply(0, 2, 3, R"({"n":3})")));
  EXPECT_TRUE(say(reply(1, 2, 1, R"({"_errorCode":"X","_message":"no\nway"})",
                        "aws.greengrass#InvalidTokenError")));
  EXPECT_TRUE(say(reply(0, 2, 2, "{}")));
  EXPECT_THAT(outcomes_, ElementsAre("Three ok  {\"n\":3}",
                                     "One refused InvalidTokenError no\\nway", "Two ok  {}"));
  EXPECT_TRUE(session_.quiet());
}

TEST_F(SessionTest, takes_errors_of_every_shape) {
  connect();
  for (const char* name : {"A", "B", "C", "D"}) ask(name);
  sent();
  EXPECT_TRUE(say(reply(1, 2, 1, R"({"_errorCode":"ServiceError"})")));
  EXPECT_TRUE(say(reply(1, 2, 2, "Unsupported operation", "aws.greengrass#ServiceError")));
  EXPECT_TRUE(say(reply(7, 2, 3, "")));
  EXPECT_TRUE(say(reply(6, 2, 4, "\xff{", "")));
  EXPECT_THAT(outcomes_,
              ElementsAre("A refused ServiceError {\"_errorCode\":\"ServiceError\"}",
                          "B refused ServiceError Unsupported operation",
                          "C refused an error without a name ", HasSubstr("D refused  \\xff{")));
}

TEST_F(SessionTest, has_at_most_so_many_requests_under_way) {
  connect();
  for (std::size_t i = 0; i < kInFlightMax + 5; ++i) ask("R");
  EXPECT_THAT(sent(), SizeIs(kInFlightMax));
  EXPECT_TRUE(say(reply(0, 2, 7, "{}")));
  const auto more = sent();
  ASSERT_THAT(more, SizeIs(1));
  EXPECT_EQ(number(more[0], ":stream-id"), static_cast<std::int32_t>(kInFlightMax) + 1);
}

TEST_F(SessionTest, gives_up_a_late_answer_and_ignores_it_when_it_comes) {
  connect();
  ask("Slow", seconds(2));
  ask("Other", seconds(9));
  sent();
  clock_.advance(seconds(1));
  EXPECT_TRUE(say(reply(2, 0, 0, "")));  // it is alive
  EXPECT_TRUE(wait(seconds(1)));
  EXPECT_THAT(outcomes_, ElementsAre(HasSubstr("Slow unanswered  the nucleus did not answer")));
  EXPECT_TRUE(say(reply(0, 2, 1, "{}")));
  EXPECT_THAT(outcomes_, SizeIs(1));
  EXPECT_TRUE(say(reply(0, 2, 2, "{}")));
  EXPECT_THAT(outcomes_, SizeIs(2));
}

TEST_F(SessionTest, gives_up_a_connection_that_is_silent) {
  connect();
  ask("Slow", seconds(2));
  sent();
  const auto silent = wait(seconds(2));
  ASSERT_FALSE(silent);
  EXPECT_THAT(silent.error().what, HasSubstr("does not answer"));
  EXPECT_THAT(outcomes_, SizeIs(1));
}

TEST_F(SessionTest, fails_what_was_sent_when_the_connection_is_lost_and_keeps_what_was_not) {
  connect();
  for (std::size_t i = 0; i < kInFlightMax; ++i) ask("Sent");
  ask("Waiting");
  sent();
  session_.on_lost("gone");
  EXPECT_THAT(outcomes_, SizeIs(kInFlightMax));
  EXPECT_EQ(outcomes_[0], "Sent unanswered  gone");
  connect();
  const auto messages = sent();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(text(messages[0], "operation"), "aws.greengrass#Waiting");
  EXPECT_EQ(number(messages[0], ":stream-id"), 1) << "stream ids begin again";
}

TEST_F(SessionTest, tells_who_waits_for_a_nucleus_that_is_not_there) {
  ask("Early", seconds(3));
  EXPECT_EQ(session_.next_event(), clock_.now() + seconds(3));
  EXPECT_TRUE(wait(seconds(3)));
  EXPECT_THAT(outcomes_, ElementsAre(HasSubstr("Early unanswered  the nucleus cannot be reached")));
}

TEST_F(SessionTest, may_be_asked_again_from_within_an_answer) {
  connect();
  int rounds = 0;
  std::function<void(const Answer&)> again = [&](const Answer&) {
    if (++rounds < 3) session_.ask({"Again", "{}", clock_.now() + seconds(5), again});
  };
  session_.ask({"Again", "{}", clock_.now() + seconds(5), again});
  EXPECT_TRUE(say(reply(0, 2, 1, "{}")));
  EXPECT_TRUE(say(reply(0, 2, 2, "{}")));
  EXPECT_EQ(rounds, 2);
  session_.on_lost("gone");
  EXPECT_EQ(rounds, 3);
}

TEST_F(SessionTest, answers_pings) {
  connect();
  EXPECT_TRUE(say(reply(2, 0, 0, "echo")));
  const auto messages = sent();
  ASSERT_THAT(messages, SizeIs(1));
  EXPECT_EQ(number(messages[0], ":message-type"), 3);
  EXPECT_EQ(messages[0].payload, "echo");
}

TEST_F(SessionTest, leaves_a_nucleus_that_pings_and_does_not_read) {
  connect();
  const Message ping = reply(2, 0, 0, std::string(100'000, 'p'));
  int taken = 0;
  while (say(ping)) ASSERT_LT(++taken, 12);
  EXPECT_GE(taken, 9);
}

TEST_F(SessionTest, leaves_a_nucleus_that_breaks_the_rules) {
  const Message no_type{{{":stream-id", std::int32_t{0}}}, {}};
  const Message text_type{{{":message-type", std::string("5")},
                           {":message-flags", std::int32_t{1}},
                           {":stream-id", std::int32_t{0}}},
                          {}};
  for (const Message& wrong :
       {reply(0, 2, 99, "{}"), reply(0, 2, -1, "{}"), reply(4, 0, 1, "{}"), reply(0, 0, 0, "{}"),
        reply(5, 1, 0, ""), reply(7, 0, 0, "crash"), no_type, text_type}) {
    connect();
    ask("Asked");
    sent();
    EXPECT_FALSE(say(wrong));
    EXPECT_THAT(outcomes_, IsEmpty());
    session_.on_lost("left");
    EXPECT_THAT(outcomes_, SizeIs(1));
    outcomes_.clear();
  }
}

TEST_F(SessionTest, never_mistakes_garbage_for_being_let_in) {
  for (const char* garbage : {"HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0\0"}) {
    session_.on_open(clock_.now());
    sent();
    EXPECT_FALSE(session_.on_bytes(clock_.now(), std::string_view(garbage, 13)));
    EXPECT_FALSE(session_.accepted());
    session_.on_lost("garbage");
  }
}

TEST_F(SessionTest, leaves_nobody_without_an_answer_when_it_stops) {
  connect();
  for (std::size_t i = 0; i < kInFlightMax + 3; ++i) ask("R");
  session_.stop("weir stops");
  EXPECT_THAT(outcomes_, SizeIs(kInFlightMax + 3));
  EXPECT_TRUE(session_.quiet());
}

}  // namespace
}  // namespace weir::greengrass
