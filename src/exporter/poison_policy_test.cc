#include "exporter/poison_policy.h"

#include "exporter/delivery.h"
#include "exporter/fakes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::exporter {
namespace {

using fake::seq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Action = PoisonPolicy::Action;

constexpr auto kYes = Verdict::kDelivered;
constexpr auto kAgain = Verdict::kRetry;
constexpr auto kNever = Verdict::kRejected;

// Keeps letters in memory until it is told that there is no room.
class Letters final : public DeadLetters {
 public:
  KeptLetters keep(const std::string& stream, std::span<const DeadLetter> letters,
                   const std::stop_token&) override {
    ++times;
    std::size_t count = 0;
    for (const DeadLetter& letter : letters) {
      if (static_cast<std::int64_t>(kept.size()) >= room) return {count, fail(error)};
      streams.push_back(stream);
      kept.push_back(letter);
      messages.push_back(encode_dead_letter(letter));
      kept.back().payload = {};
      ++count;
    }
    return {count, {}};
  }
  [[nodiscard]] std::vector<std::int64_t> numbers() const {
    std::vector<std::int64_t> all;
    for (const auto& letter : kept) all.push_back(letter.sequence.value());
    return all;
  }

  std::int64_t room = 1'000;
  int times = 0;  // it was asked
  Error error{Errc::kFull, "the message stream is full", 0};
  std::vector<std::string> streams;
  std::vector<DeadLetter> kept;
  std::vector<ByteVector> messages;
};

class Poison : public ::testing::Test {
 protected:
  void guard(Action action, const std::string& stream = "weir-dlq") {
    auto made = with_poison_policy(
        std::make_unique<fake::ScriptedDestination>(
            [this](const Batch&, const std::stop_token&) { return answer_; }, Destination::Limits{},
            "host:443"),
        {action, stream}, {"pumps", fake::config("cloud"), nullptr}, &letters_, clock_);
    ASSERT_TRUE(made) << made.error().what;
    destination_ = std::move(*made);
  }
  void refuse(std::initializer_list<Verdict> verdicts) {
    answer_ = {kAgain, FailureClass::kNone, {}, {}, false, {}};
    for (const Verdict verdict : verdicts) {
      const auto failure = verdict == kAgain   ? FailureClass::kThrottle
                           : verdict == kNever ? FailureClass::kPoison
                                               : FailureClass::kNone;
      answer_.records.push_back({verdict, failure, verdict == kYes ? "" : "too \"large\""});
      if (verdict == kAgain) answer_.failure = FailureClass::kThrottle;
    }
  }
  Outcome deliver(std::int64_t count, std::int64_t from = 10) {
    Batch batch("pumps", "cloud");
    for (std::int64_t i = from; i < from + count; ++i) {
      batch.add(seq(i), 1'000 + i, as_bytes(log_.payload(i)));
    }
    return destination_->deliver(batch, {});
  }
  static std::vector<Verdict> verdicts(const Outcome& outcome) {
    std::vector<Verdict> all;
    for (const auto& record : outcome.records) all.push_back(record.verdict);
    return all;
  }

  ManualClock clock_;
  fake::Log log_;
  Letters letters_;
  Outcome answer_ = Outcome::delivered();
  std::unique_ptr<Destination> destination_;
};

TEST_F(Poison, ARefusedMessageBecomesADeadLetterAndTheOthersGoTheirWay) {
  guard(Action::kDeadLetter);
  refuse({kYes, kNever, kYes, kNever});
  const Outcome outcome = deliver(4);
  EXPECT_THAT(verdicts(outcome), ElementsAre(kYes, kNever, kYes, kNever));
  EXPECT_TRUE(outcome.records[1].set_aside);
  EXPECT_FALSE(outcome.records[2].set_aside);
  EXPECT_THAT(letters_.numbers(), ElementsAre(11, 13));
  EXPECT_THAT(letters_.streams, ElementsAre("weir-dlq", "weir-dlq"));
}

TEST_F(Poison, ADeadLetterTellsWhereItCameFromAndKeepsThePayloadUntouched) {
  guard(Action::kDeadLetter);
  clock_.step_wall_ms(5'000);
  answer_ = Outcome::rejected("line\nbreak and \x01");
  deliver(1);
  ASSERT_EQ(letters_.messages.size(), 1U);
  const std::string text(as_text(letters_.messages[0]));
  const auto line = text.find('\n');
  EXPECT_EQ(text.substr(line + 1), log_.payload(10));
  const auto head = nlohmann::json::parse(text.substr(0, line));
  EXPECT_EQ(head["weirDeadLetter"], 1);
  EXPECT_EQ(head["stream"], "pumps");
  EXPECT_EQ(head["export"], "cloud");
  EXPECT_EQ(head["type"], "kinesis");
  EXPECT_EQ(head["sequenceNumber"], 10);
  EXPECT_EQ(head["appendTime"], 1'010);
  EXPECT_EQ(head["refusedTime"], clock_.wall_ms());
  EXPECT_EQ(head["payloadBytes"], log_.payload(10).size());
  EXPECT_THAT(head["reason"], HasSubstr("break and"));
}

TEST_F(Poison, AnyNameMakesALineOfJson) {
  DeadLetter letter;
  letter.stream = "a, b";
  for (int c = 1; c < 128; ++c) letter.identifier += static_cast<char>(c);
  letter.identifier += "\xc3\xa4";
  const ByteVector message = encode_dead_letter(letter);
  const std::string text(as_text(message));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  EXPECT_EQ(nlohmann::json::parse(text)["export"], letter.identifier);
}

TEST_F(Poison, WhatCannotBeKeptIsNotSkippedAndItSaysWhy) {
  guard(Action::kDeadLetter);
  letters_.room = 1;
  refuse({kNever, kNever, kYes, kNever});
  const Outcome outcome = deliver(4);
  EXPECT_THAT(verdicts(outcome), ElementsAre(kNever, kAgain, kYes, kAgain));
  EXPECT_EQ(outcome.failure, FailureClass::kOperator) << "somebody must make room";
  EXPECT_THAT(outcome.error, HasSubstr("message 11 "));
  EXPECT_THAT(outcome.error, HasSubstr("'weir-dlq': the message stream is full"));
  EXPECT_THAT(outcome.error, HasSubstr("too \"large\""));
}

TEST_F(Poison, OneAnswerForAWholeBatchCountsForEachOfItsMessages) {
  guard(Action::kDeadLetter);
  answer_ = Outcome::rejected("no such type");
  const Outcome outcome = deliver(3);
  EXPECT_THAT(verdicts(outcome), ElementsAre(kNever, kNever, kNever));
  EXPECT_EQ(outcome.verdict, kNever);
  EXPECT_THAT(letters_.numbers(), ElementsAre(10, 11, 12));
  letters_.room = 0;
  EXPECT_EQ(deliver(3).verdict, kAgain);
}

TEST_F(Poison, AllRefusedMessagesOfABatchAreKeptTogether) {
  guard(Action::kDeadLetter);
  refuse({kNever, kYes, kNever, kNever});
  deliver(4);
  EXPECT_THAT(letters_.numbers(), ElementsAre(10, 12, 13));
  EXPECT_EQ(letters_.times, 1) << "the disk is waited for once";
}

// What a message becomes that is refused in each of `streams`, one after the other.
std::string letter_through(std::initializer_list<const char*> streams) {
  std::string message = "hello";
  for (const char* stream : streams) {
    DeadLetter letter;
    letter.stream = stream;
    letter.payload = as_bytes(message);
    const ByteVector encoded = encode_dead_letter(letter);
    message = std::string(as_text(encoded));
  }
  return message;
}

TEST_F(Poison, ALetterThatWouldGoRoundIsSkippedAndCounted) {
  guard(Action::kDeadLetter, "tanks");
  answer_ = Outcome::rejected("no");
  Batch batch("pumps", "cloud");
  const std::vector<std::string> messages = {
      letter_through({"fans"}),           // may go on to tanks
      letter_through({"tanks"}),          // tanks keeps what pumps refuses, and the reverse
      letter_through({"tanks", "fans"}),  // round three streams
      letter_through({"tanks 2"}),       "{\"weirDeadLetter\":1,\"stream\":\"ta",
  };
  for (const std::string& message : messages) {
    batch.add(seq(static_cast<std::int64_t>(&message - messages.data())), 1'000, as_bytes(message));
  }
  const Outcome outcome = destination_->deliver(batch, {});
  EXPECT_THAT(verdicts(outcome), ::testing::Each(kNever));
  EXPECT_THAT(letters_.numbers(), ElementsAre(0, 3, 4));
  EXPECT_FALSE(outcome.records[1].set_aside) << "so it counts as skipped";
  EXPECT_THAT(outcome.records[1].reason, HasSubstr("no; it is a dead letter"));
  EXPECT_THAT(outcome.records[1].reason, HasSubstr("'tanks'"));
}

TEST_F(Poison, LettersInLettersComeToAnEnd) {
  std::string message = letter_through({"a", "b", "c", "d", "e", "f", "g", "h"});
  EXPECT_FALSE(comes_from(as_bytes(message), "z"));
  message = letter_through({"a", "b", "c", "d", "e", "f", "g", "h", "i"});
  EXPECT_TRUE(comes_from(as_bytes(message), "z"));
}

TEST_F(Poison, AStopWhileALetterIsKeptIsNoCaseForAPerson) {
  guard(Action::kDeadLetter);
  letters_.room = 0;
  letters_.error = {Errc::kCancelled, "weir or the export is stopping", 0};
  answer_ = Outcome::rejected("no such type");
  EXPECT_EQ(deliver(1).failure, FailureClass::kTransient);
}

TEST_F(Poison, BlockingKeepsTheMessageAndAsksForAPerson) {
  guard(Action::kBlock);
  refuse({kYes, kNever, kYes});
  const Outcome outcome = deliver(3);
  EXPECT_THAT(verdicts(outcome), ElementsAre(kYes, kAgain, kYes));
  EXPECT_EQ(outcome.failure, FailureClass::kOperator);
  EXPECT_THAT(outcome.error, HasSubstr("message 11 was refused for good and blocks the export"));
  EXPECT_THAT(letters_.numbers(), IsEmpty());
}

TEST_F(Poison, AFailureThatEndsByItselfIsWaitedForFirst) {
  guard(Action::kBlock);
  refuse({kAgain, kNever});
  const Outcome outcome = deliver(2);
  EXPECT_THAT(verdicts(outcome), ElementsAre(kAgain, kAgain));
  EXPECT_EQ(outcome.failure, FailureClass::kThrottle);
}

TEST_F(Poison, DroppingLeavesTheDestinationAsItIs) {
  guard(Action::kDrop);
  refuse({kNever, kYes});
  EXPECT_THAT(verdicts(deliver(2)), ElementsAre(kNever, kYes));
  EXPECT_FALSE(deliver(2).records[0].set_aside);
}

TEST_F(Poison, AStreamIsNotItsOwnDeadLetterStream) {
  auto made = with_poison_policy(nullptr, {Action::kDeadLetter, "pumps"},
                                 {"pumps", fake::config("cloud"), nullptr}, &letters_, clock_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kInvalidArgument);
}

TEST_F(Poison, TheRestOfTheDestinationIsSeenThroughIt) {
  guard(Action::kBlock);
  EXPECT_EQ(destination_->host(), "host:443");
  EXPECT_EQ(destination_->limits().messages_max, Destination::Limits{}.messages_max);
  EXPECT_EQ(destination_->idle_deadline(), Instant::max());
  answer_ = Outcome::retry(FailureClass::kTransient, "reset");
  EXPECT_EQ(deliver(2).error, "reset");
  EXPECT_THAT(deliver(2).records, IsEmpty());
}

}  // namespace
}  // namespace weir::exporter
