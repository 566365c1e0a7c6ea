#include "exporter/exporter.h"

#include "exporter/fakes.h"

#include <functional>
#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;
using fake::config;
using fake::seq;
using Result = Exporter::Result;

constexpr Instant kStart{std::chrono::hours(1)};
constexpr std::int64_t kWallMs = 1'700'000'000'000;

std::vector<Delivery::Sent> messages(std::initializer_list<std::int64_t> numbers) {
  std::vector<Delivery::Sent> sent;
  for (const std::int64_t number : numbers) sent.push_back({seq(number), 10});
  return sent;
}

// One export and the worker that answers for it.
struct Bench {
  explicit Bench(model::ExportConfig definition = config("cloud"),
                 const std::optional<stream::Cursor>& saved = {})
      : exporter(std::move(definition), saved, {}, 1) {
    exporter.destination_made({}, now);
    exporter.log_moved(seq(0), seq(0), now);
  }

  std::int64_t log(std::int64_t oldest, std::int64_t end) {
    return exporter.log_moved(seq(oldest), seq(end), now);
  }
  void pass(Duration time) {
    now += time;
    exporter.tick(now);
  }
  Grant take() {
    grant = exporter.take(now);
    return grant;
  }
  // What a worker reports that found every message it was to send.
  [[nodiscard]] Delivery answer(Outcome outcome, std::int64_t count) const {
    Delivery delivery;
    delivery.generation = grant.generation;
    if (grant.only.empty()) {
      for (std::int64_t i = 0; i < count; ++i) delivery.sent.push_back({grant.from + i, 10});
      delivery.next = grant.from + count;
    } else {
      for (const auto number : grant.only) delivery.sent.push_back({number, 10});
      delivery.next = grant.only.back() + 1;
    }
    delivery.outcome = std::move(outcome);
    return delivery;
  }
  Exporter::Settled finish(const Delivery& delivery) {
    return exporter.finish(delivery, now, kWallMs);
  }
  Exporter::Settled deliver(Outcome outcome, std::int64_t count) {
    take();
    return finish(answer(std::move(outcome), count));
  }

  Instant now = kStart;
  Grant grant;
  Exporter exporter;
};

Outcome mixed(std::initializer_list<Verdict> verdicts) {
  Outcome outcome;
  outcome.verdict = Verdict::kRetry;
  for (const Verdict verdict : verdicts) {
    outcome.records.push_back({verdict,
                               verdict == Verdict::kDelivered ? FailureClass::kNone
                               : verdict == Verdict::kRetry   ? FailureClass::kThrottle
                                                              : FailureClass::kPoison,
                               verdict == Verdict::kDelivered ? "" : "because"});
  }
  return outcome;
}
constexpr auto kYes = Verdict::kDelivered;
constexpr auto kAgain = Verdict::kRetry;
constexpr auto kNever = Verdict::kRejected;

model::ExportConfig with_interval(std::int64_t batch_size, std::int64_t interval_ms) {
  auto definition = config("cloud");
  definition.batch_size = batch_size;
  definition.batch_interval_ms = interval_ms;
  return definition;
}
model::ExportConfig disabled(model::ExportConfig definition = config("cloud")) {
  definition.disabled = true;
  return definition;
}

// Every state, and how to get there. Interval 60 s, batches of 10.
Bench in_state(State state) {
  Bench bench(state == State::kStopped ? disabled(with_interval(10, 60'000))
                                       : with_interval(10, 60'000));
  switch (state) {
    case State::kIdle:
      break;
    case State::kCollecting:
    case State::kStopped:
      bench.log(0, 5);
      break;
    case State::kReady:
      bench.log(0, 10);
      break;
    case State::kInFlight:
      bench.log(0, 10);
      bench.take();
      break;
    case State::kBackoff: {
      bench.log(0, 10);
      Outcome refused = Outcome::retry(FailureClass::kTransient, "connection refused");
      refused.connection_failed = true;
      bench.deliver(std::move(refused), 10);
      break;
    }
    case State::kBroken:
      bench.log(0, 5);
      bench.exporter.destination_failed("no region", bench.now);
      break;
  }
  EXPECT_EQ(bench.exporter.state(), state);
  return bench;
}

struct Event {
  const char* name;
  std::function<void(Bench&)> happens;
  // The state afterwards, for Idle, Collecting, Ready, InFlight, Backoff, Stopped, Broken.
  std::array<State, 7> then;
};

TEST(ExporterTable, EveryEventInEveryState) {
  using S = State;
  const auto none = S::kIdle;
  const std::vector<Event> events = {
      {"one message became durable",
       [](Bench& b) { b.log(0, 11); },
       {S::kReady, S::kReady, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"a few became durable",
       [](Bench& b) { b.log(0, 6); },
       {S::kCollecting, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped,
        S::kBroken}},
      {"nothing new",
       [](Bench& b) { b.log(0, 0); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"retention removed all that waits",
       [](Bench& b) { b.log(10, 10); },
       {S::kIdle, S::kIdle, S::kIdle, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"a minute passed",
       [](Bench& b) { b.pass(60s); },
       {S::kIdle, S::kReady, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      {"a moment passed",
       [](Bench& b) { b.pass(1ms); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"the same definition again",
       [](Bench& b) { b.exporter.redefine(b.exporter.config(), b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"it was disabled",
       [](Bench& b) { b.exporter.redefine(disabled(b.exporter.config()), b.now); },
       {S::kStopped, S::kStopped, S::kStopped, S::kInFlight, S::kStopped, S::kStopped,
        S::kStopped}},
      {"it was enabled",
       [](Bench& b) { b.exporter.redefine(with_interval(10, 60'000), b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kCollecting,
        S::kBroken}},
      {"its interval was taken away",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.batch_interval_ms.reset();
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kReady, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"its start was set to 4",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.start_sequence_number = 4;
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kCollecting, S::kCollecting, S::kInFlight, S::kCollecting, S::kStopped,
        S::kBroken}},
      {"its destination was changed",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.target = "elsewhere";
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      {"its destination cannot be made",
       [](Bench& b) { b.exporter.destination_failed("why", b.now); },
       {S::kBroken, S::kBroken, S::kBroken, S::kInFlight, S::kBroken, S::kStopped, S::kBroken}},
      {"its destination was made",
       [](Bench& b) { b.exporter.destination_made({}, b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped,
        S::kCollecting}},
      {"its host works for others",
       [](Bench& b) { b.exporter.host_works(b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      // The following happen only while a delivery is under way.
      {"all delivered",
       [](Bench& b) { b.finish(b.answer(Outcome::delivered(), 10)); },
       {none, none, none, S::kIdle, none, none, none}},
      {"some delivered",
       [](Bench& b) { b.finish(b.answer(Outcome::delivered(), 3)); },
       {none, none, none, S::kCollecting, none, none, none}},
      {"all rejected",
       [](Bench& b) { b.finish(b.answer(Outcome::rejected("bad"), 10)); },
       {none, none, none, S::kIdle, none, none, none}},
      {"all to be retried",
       [](Bench& b) { b.finish(b.answer(Outcome::retry(FailureClass::kThrottle, "slow"), 10)); },
       {none, none, none, S::kBackoff, none, none, none}},
      {"part to be retried",
       [](Bench& b) {
         b.finish(b.answer(mixed({kYes, kAgain, kNever}), 3));
       },
       {none, none, none, S::kBackoff, none, none, none}},
      {"the log could not be read",
       [](Bench& b) {
         Delivery d = b.answer(Outcome::retry(FailureClass::kTransient, "read the stream"), 0);
         d.kind = Delivery::Kind::kReadFailed;
         b.finish(d);
       },
       {none, none, none, S::kBackoff, none, none, none}},
      {"interrupted",
       [](Bench& b) {
         Delivery d = b.answer({}, 0);
         d.kind = Delivery::Kind::kInterrupted;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
      {"more memory needed",
       [](Bench& b) {
         Delivery d = b.answer({}, 0);
         d.kind = Delivery::Kind::kNeedsBytes;
         d.bytes_needed = 1 << 30;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
      {"an answer to an older definition",
       [](Bench& b) {
         Delivery d = b.answer(Outcome::delivered(), 10);
         --d.generation;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
  };
  constexpr std::array kAll = {State::kIdle,    State::kCollecting, State::kReady, State::kInFlight,
                               State::kBackoff, State::kStopped,    State::kBroken};
  const std::size_t only_in_flight_from = 15;
  int checked = 0;
  for (std::size_t e = 0; e < events.size(); ++e) {
    for (std::size_t s = 0; s < kAll.size(); ++s) {
      if (e >= only_in_flight_from && kAll[s] != State::kInFlight) continue;
      Bench bench = in_state(kAll[s]);
      const SequenceNumber before = bench.exporter.next();
      events[e].happens(bench);
      EXPECT_STREQ(state_name(bench.exporter.state()), state_name(events[e].then[s]))
          << events[e].name << " while " << state_name(kAll[s]);
      EXPECT_GE(bench.exporter.next(), before) << events[e].name;
      EXPECT_EQ(bench.exporter.ready_since().has_value(), bench.exporter.state() == State::kReady);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 15 * 7 + 9);
}

TEST(Exporter, WithoutAnIntervalWhateverIsThereGoesAtOnce) {
  Bench bench;
  bench.log(0, 1);
  EXPECT_EQ(bench.exporter.state(), State::kReady);
  const Grant grant = bench.take();
  EXPECT_EQ(grant.from, seq(0));
  EXPECT_EQ(grant.messages_max, 500);
}

TEST(Exporter, ABatchIsAtMostTheSizeOfTheTypeTheDefinitionAndTheDestination) {
  const auto size_of = [](model::ExportConfig definition, std::int64_t limit) {
    Bench bench(std::move(definition));
    Destination::Limits limits;
    limits.messages_max = limit;
    bench.exporter.destination_made(limits, bench.now);
    return bench.exporter.batch_messages();
  };
  auto small = config("a");
  small.batch_size = 7;
  EXPECT_EQ(size_of(config("a"), 10'000), 500);
  EXPECT_EQ(size_of(config("a", model::ExportType::kHttp), 10'000), 500);
  EXPECT_EQ(size_of(config("a", model::ExportType::kIotAnalytics), 10'000), 100);
  EXPECT_EQ(size_of(config("a", model::ExportType::kIotSitewise), 10'000), 10);
  EXPECT_EQ(size_of(config("a", model::ExportType::kS3TaskExecutor), 10'000), 1);
  EXPECT_EQ(size_of(config("a", model::ExportType::kFile), 10'000), 10'000);
  EXPECT_EQ(size_of(small, 10'000), 7);
  EXPECT_EQ(size_of(small, 3), 3);
  EXPECT_EQ(size_of(small, 0), 1) << "a limit of nothing would never deliver";
}

TEST(Exporter, WithAnIntervalItWaitsForAFullBatchOrTheAgeOfTheOldest) {
  Bench bench(with_interval(10, 60'000));
  bench.log(0, 3);
  EXPECT_EQ(bench.exporter.deadline(), bench.now + 60s);
  bench.pass(40s);
  bench.log(0, 9);
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  EXPECT_EQ(bench.exporter.wake_end(), seq(10));
  bench.pass(20s - 1ns);
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  bench.pass(1ns);
  EXPECT_EQ(bench.exporter.state(), State::kReady) << "the first waited 60 s";
  bench.deliver(Outcome::delivered(), 9);
  bench.log(0, 19);
  EXPECT_EQ(bench.exporter.state(), State::kReady) << "ten are a batch";
}

TEST(Exporter, WhatIsLeftBehindAFullBatchWaitsForItsOwnAge) {
  Bench bench(with_interval(10, 60'000));
  bench.log(0, 4);
  bench.pass(30s);
  bench.log(0, 12);
  bench.deliver(Outcome::delivered(), 10);
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  // They were noticed 30 s after the first ones; between two looks the earlier second counts.
  EXPECT_GT(bench.exporter.deadline(), bench.now + 30s);
  EXPECT_LE(bench.exporter.deadline(), bench.now + 60s);
}

TEST(Exporter, AgesAreKnownWithinASixtyFourthOfTheIntervalHoweverMuchArrives) {
  Bench bench(with_interval(500, 64'000));
  std::vector<Instant> arrived;
  int batches = 0;
  for (int i = 0; i < 100'000; ++i) {
    arrived.push_back(bench.now);
    bench.log(0, i + 1);
    if (bench.exporter.state() == State::kReady) {
      // Sent because of its age or because the batch is full.
      const auto oldest = static_cast<std::size_t>(bench.exporter.next().value());
      const std::int64_t waiting = i + 1 - bench.exporter.next().value();
      if (waiting < 500) {
        EXPECT_GE(bench.now - arrived[oldest], 63s);
        EXPECT_LE(bench.now - arrived[oldest], 65s);
      }
      bench.deliver(Outcome::delivered(), waiting / 2);
      ++batches;
    }
    bench.pass(150ms);
  }
  EXPECT_GT(batches, 100);
}

TEST(Exporter, AnIntervalBeyondEveryClockDoesNotOverflow) {
  Bench bench(with_interval(10, 9'223'372'036'854));
  bench.log(0, 5);
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  EXPECT_EQ(bench.exporter.deadline(), Instant::max());
  bench.pass(std::chrono::hours(24 * 365));
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  bench.log(0, 10);
  EXPECT_EQ(bench.exporter.state(), State::kReady);
}

TEST(Exporter, ReportsProgressAsTheProtocolSays) {
  Bench bench;
  EXPECT_EQ(bench.exporter.status().last_exported_sequence_number, -1);
  EXPECT_EQ(bench.exporter.status().last_export_time_ms, 0);
  bench.log(0, 5);
  bench.deliver(Outcome::retry(FailureClass::kOperator, "stream x doesn't exist"), 5);
  EXPECT_EQ(bench.exporter.status().last_exported_sequence_number, -1);
  EXPECT_EQ(bench.exporter.status().last_export_time_ms, kWallMs);
  EXPECT_EQ(bench.exporter.status().error_message, "stream x doesn't exist");
  bench.pass(5s);
  bench.deliver(mixed({kYes, kNever, kYes, kYes, kYes}), 5);
  const auto status = bench.exporter.status();
  EXPECT_EQ(status.last_exported_sequence_number, 4);
  EXPECT_EQ(status.exported_messages_count, 5) << "skipped ones count";
  EXPECT_EQ(status.exported_bytes_from_stream, 40) << "their bytes do not";
  EXPECT_EQ(bench.exporter.skipped_messages(), 1);
  bench.log(0, 6);
  bench.deliver(Outcome::delivered(), 1);
  EXPECT_EQ(bench.exporter.status().error_message, "");
}

TEST(Exporter, ErrorTextsAreCutAndEscaped) {
  Bench bench;
  bench.log(0, 1);
  bench.deliver(Outcome::retry(FailureClass::kTransient, "a\nb" + std::string(2000, 'x')), 1);
  const std::string shown = bench.exporter.status().error_message;
  EXPECT_EQ(shown.substr(0, 4), "a\\nb");
  EXPECT_LT(shown.size(), 300U);
}

struct FailureRow {
  FailureClass given;
  FailureClass shown;
  bool slow_after_three;
};

TEST(Exporter, EachClassOfFailureWaitsItsTimeAndNeverGivesUp) {
  const std::vector<FailureRow> rows = {
      {FailureClass::kNone, FailureClass::kTransient, false},
      {FailureClass::kTransient, FailureClass::kTransient, false},
      {FailureClass::kThrottle, FailureClass::kThrottle, false},
      {FailureClass::kPoison, FailureClass::kTransient, false},
      {FailureClass::kCredentials, FailureClass::kCredentials, true},
      {FailureClass::kClock, FailureClass::kClock, true},
      {FailureClass::kOperator, FailureClass::kOperator, true},
      {FailureClass::kBug, FailureClass::kBug, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(failure_class_name(row.given));
    Bench bench;
    bench.log(0, 1);
    Duration full = 1s;
    for (int attempt = 1; attempt <= 40; ++attempt) {
      const auto settled = bench.deliver(Outcome::retry(row.given, "no"), 1);
      ASSERT_EQ(settled.result, Result::kFailed);
      ASSERT_EQ(settled.failure, row.shown);
      const Duration least =
          row.slow_after_three && attempt >= 3 ? std::max<Duration>(60s, full / 2) : full / 2;
      ASSERT_GE(settled.wait, least) << attempt;
      ASSERT_LE(settled.wait, std::max(least, full)) << attempt;
      ASSERT_EQ(bench.exporter.consecutive_failures(), attempt);
      ASSERT_EQ(bench.exporter.deadline(), bench.now + settled.wait);
      bench.pass(settled.wait);
      ASSERT_EQ(bench.exporter.state(), State::kReady);
      full = std::min<Duration>(full * 2, 300s);
    }
    EXPECT_EQ(bench.deliver(Outcome::delivered(), 1).result, Result::kSucceeded);
    bench.log(0, 2);
    EXPECT_LE(bench.deliver(Outcome::retry(row.given, "no"), 1).wait, 1s) << "success resets";
  }
}

TEST(Exporter, TheDestinationsWishIsHonouredUpToTheCeiling) {
  Bench bench;
  bench.log(0, 1);
  auto outcome = Outcome::retry(FailureClass::kThrottle, "503 slow down");
  outcome.retry_after = 30s;
  EXPECT_EQ(bench.deliver(outcome, 1).wait, 30s);
  bench.pass(30s);
  outcome.retry_after = std::chrono::hours(1000);
  EXPECT_EQ(bench.deliver(outcome, 1).wait, 300s);
  bench.pass(300s);
  outcome.retry_after = -5s;
  EXPECT_GT(bench.deliver(outcome, 1).wait, 0s);
}

TEST(Exporter, AfterAPartialFailureOnlyTheRefusedGoAgainBeforeAnythingNew) {
  Bench bench;
  bench.log(0, 20);
  auto settled = bench.deliver(mixed({kYes, kYes, kAgain, kYes, kAgain}), 5);
  EXPECT_EQ(settled.result, Result::kPartial);
  EXPECT_LE(settled.wait, 1s);
  EXPECT_EQ(bench.exporter.next(), seq(2)) << "the delivered prefix";
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 3);
  bench.pass(1s);
  Grant grant = bench.take();
  EXPECT_EQ(grant.only, (std::vector{seq(2), seq(4)}));
  settled = bench.finish(bench.answer(mixed({kAgain, kYes}), 2));
  EXPECT_EQ(settled.result, Result::kPartial);
  EXPECT_EQ(bench.exporter.next(), seq(2));
  bench.pass(1s);
  grant = bench.take();
  EXPECT_EQ(grant.only, (std::vector{seq(2)}));
  settled = bench.finish(bench.answer(Outcome::delivered(), 1));
  EXPECT_EQ(bench.exporter.next(), seq(5)) << "over all that was delivered before";
  EXPECT_EQ(bench.take().from, seq(5));
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 5);
}

TEST(Exporter, AResendThatOnlyPartlyFitsKeepsTheRest) {
  Bench bench;
  bench.log(0, 5);
  bench.deliver(mixed({kAgain, kYes, kAgain, kAgain, kYes}), 5);
  bench.pass(1s);
  bench.take();
  Delivery delivery = bench.answer(Outcome::delivered(), 0);
  delivery.sent = messages({0});
  delivery.next = seq(2);
  bench.finish(delivery);
  EXPECT_EQ(bench.exporter.next(), seq(2));
  EXPECT_EQ(bench.take().only, (std::vector{seq(2), seq(3)}));
}

TEST(Exporter, AnswersForAnotherNumberOfMessagesFailTheWholeBatch) {
  for (const auto& outcome : {mixed({kYes, kYes}), mixed({kYes, kYes, kYes, kYes})}) {
    Bench bench;
    bench.log(0, 3);
    EXPECT_EQ(bench.deliver(outcome, 3).result, Result::kFailed);
    EXPECT_EQ(bench.exporter.next(), seq(0));
    EXPECT_FALSE(bench.exporter.resending());
    EXPECT_NE(bench.exporter.status().error_message.find("of 3"), std::string::npos);
  }
}

TEST(Exporter, EveryPatternOfVerdictsEndsWithEveryMessageDoneOnce) {
  // All batches of four messages with three verdicts each, the second answer likewise.
  constexpr std::array kVerdicts = {kYes, kAgain, kNever};
  for (int pattern = 0; pattern < 81 * 81; ++pattern) {
    Bench bench;
    bench.log(0, 4);
    int digits = pattern;
    std::map<std::int64_t, int> done;
    while (bench.exporter.state() != State::kIdle) {
      if (bench.exporter.state() == State::kBackoff) {
        bench.now = bench.exporter.deadline();
        bench.exporter.tick(bench.now);
      }
      bench.take();
      Delivery delivery = bench.answer({}, 4);
      for (const auto& sent : delivery.sent) {
        const Verdict verdict = digits > 0 ? kVerdicts[static_cast<std::size_t>(digits % 3)] : kYes;
        digits /= 3;
        delivery.outcome.records.push_back({verdict, FailureClass::kThrottle, "because"});
        if (verdict != kAgain) ++done[sent.sequence.value()];
      }
      const SequenceNumber before = bench.exporter.next();
      bench.finish(delivery);
      ASSERT_GE(bench.exporter.next(), before);
      for (std::int64_t n = 0; n < bench.exporter.next().value(); ++n) ASSERT_EQ(done[n], 1);
      ASSERT_EQ(done.count(bench.exporter.next().value()), 0U) << "it stands at the first not done";
    }
    ASSERT_EQ(bench.exporter.next(), seq(4));
    ASSERT_EQ(bench.exporter.status().exported_messages_count, 4);
  }
}

TEST(Exporter, RetentionThatOvertakesItIsCountedOnce) {
  Bench bench;
  bench.log(0, 100);
  EXPECT_EQ(bench.log(40, 100), 40);
  EXPECT_EQ(bench.log(40, 100), 0);
  EXPECT_EQ(bench.exporter.next(), seq(40));
  EXPECT_EQ(bench.exporter.lost_messages(), 40);
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 0);
}

TEST(Exporter, WhatIsUnderWayWhileRetentionPassesIsNotLost) {
  Bench bench;
  bench.log(0, 100);
  bench.take();
  EXPECT_EQ(bench.log(60, 100), 0);
  const auto settled = bench.finish(bench.answer(Outcome::delivered(), 50));
  EXPECT_EQ(settled.lost_messages, 10) << "50 to 59 were neither sent nor there any more";
  EXPECT_EQ(bench.exporter.next(), seq(60));
  EXPECT_EQ(bench.exporter.lost_messages(), 10);
}

TEST(Exporter, RetentionTakesRefusedMessagesFromTheResend) {
  Bench bench;
  bench.log(0, 100);
  bench.deliver(mixed({kAgain, kYes, kAgain, kYes, kAgain}), 5);
  EXPECT_EQ(bench.log(3, 100), 2) << "0 and 2; 1 was delivered";
  EXPECT_EQ(bench.exporter.next(), seq(4));
  EXPECT_EQ(bench.log(8, 100), 4) << "4, and 5 to 7 that were never sent";
  EXPECT_EQ(bench.exporter.next(), seq(8));
  EXPECT_FALSE(bench.exporter.resending());
}

TEST(Exporter, NumbersWithoutAMessageArePassedAndToldApart) {
  Bench bench;
  bench.log(0, 100);
  bench.take();
  Delivery delivery;
  delivery.generation = bench.grant.generation;
  delivery.sent = messages({10, 11, 20});
  delivery.next = seq(30);
  delivery.oldest = seq(6);  // retention removed 0 to 5 before the worker read
  delivery.outcome = Outcome::delivered();
  const auto settled = bench.finish(delivery);
  EXPECT_EQ(settled.lost_messages, 6);
  EXPECT_EQ(settled.missing_numbers, 30 - 6 - 3);
  EXPECT_EQ(bench.exporter.next(), seq(30));
}

TEST(Exporter, AReadThatFindsNothingAndGoesNowhereIsAFailureNotALoop) {
  Bench bench;
  bench.log(0, 10);
  EXPECT_EQ(bench.deliver({}, 0).result, Result::kFailed);
  EXPECT_EQ(bench.exporter.state(), State::kBackoff);
  EXPECT_EQ(bench.exporter.status().last_export_time_ms, 0) << "nothing was attempted";
}

stream::Cursor saved_at(std::int64_t next, std::int64_t start) {
  stream::Cursor cursor;
  cursor.identifier = "cloud";
  cursor.type = model::ExportType::kKinesis;
  cursor.next = seq(next);
  cursor.start_sequence_number = start;
  cursor.exported_messages = 77;
  cursor.exported_bytes = 7700;
  cursor.last_export_ms = 5;
  cursor.error_message = "before";
  return cursor;
}

TEST(Positioning, AFreshExportStartsAtItsStartOrTheOldest) {
  auto definition = config("cloud");
  definition.start_sequence_number = 30;
  Exporter later(definition, {}, {}, 1);
  EXPECT_EQ(later.log_moved(seq(10), seq(20), kStart), 0);
  EXPECT_EQ(later.next(), seq(30));
  EXPECT_EQ(later.status().last_exported_sequence_number, 29);
  EXPECT_FALSE(later.worth_saving()) << "would move the stream's numbers";
  Exporter first(config("cloud"), {}, {}, 1);
  EXPECT_EQ(first.log_moved(seq(10), seq(20), kStart), 0) << "never its to lose";
  EXPECT_EQ(first.next(), seq(10));
}

TEST(Positioning, MessagesBelowAStartBeyondTheEndAreNeverExported) {
  auto definition = config("cloud");
  definition.start_sequence_number = 30;
  Bench bench(definition);
  bench.log(0, 29);
  EXPECT_EQ(bench.exporter.state(), State::kIdle);
  EXPECT_EQ(bench.exporter.wake_end(), seq(31));
  bench.log(0, 31);
  EXPECT_EQ(bench.take().from, seq(30));
}

TEST(Positioning, ASavedPositionGoesOnWithItsCounters) {
  Bench bench(config("cloud"), saved_at(50, 0));
  bench.log(0, 60);
  EXPECT_EQ(bench.exporter.status().last_exported_sequence_number, 49);
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 77);
  EXPECT_EQ(bench.exporter.status().error_message, "before");
  EXPECT_EQ(bench.take().from, seq(50));
}

TEST(Positioning, AStartThatChangedWhileItWasAwayRepositionsIt) {
  auto definition = config("cloud");
  definition.start_sequence_number = 20;
  Bench bench(definition, saved_at(50, 0));
  bench.log(0, 60);
  EXPECT_EQ(bench.exporter.next(), seq(20));
  EXPECT_GT(bench.exporter.revision(), 0U) << "to be saved";
}

TEST(Positioning, APositionOfAnotherTypeIsNotItsOwn) {
  Bench bench(config("cloud", model::ExportType::kHttp), saved_at(50, 0));
  EXPECT_EQ(bench.exporter.next(), seq(0));
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 0);
}

TEST(Positioning, AnUpdateWithTheSameStartGoesOnWhereItWas) {
  Bench bench;
  bench.log(0, 60);
  bench.deliver(Outcome::delivered(), 50);
  auto same = config("cloud");
  same.start_sequence_number = 0;  // explicit, as a describe-change-update round trip sends it
  const auto redefined = bench.exporter.redefine(same, bench.now);
  EXPECT_FALSE(redefined.repositioned);
  EXPECT_FALSE(redefined.other_destination);
  EXPECT_EQ(bench.exporter.next(), seq(50));
}

TEST(Positioning, AnUpdateWithAnotherStartMovesItForwardsOrBackwards) {
  Bench bench;
  bench.log(0, 60);
  bench.deliver(Outcome::delivered(), 50);
  for (const std::int64_t start : {10, 55, 0}) {
    auto moved = config("cloud");
    moved.start_sequence_number = start;
    EXPECT_TRUE(bench.exporter.redefine(moved, bench.now).repositioned);
    EXPECT_EQ(bench.exporter.next(), seq(start));
    EXPECT_EQ(bench.exporter.cursor().start_sequence_number, start);
  }
  EXPECT_EQ(bench.exporter.lost_messages(), 0);
}

TEST(Positioning, ARepositionBelowTheOldestGoesToTheOldestWithoutLoss) {
  Bench bench;
  bench.log(0, 60);
  bench.log(40, 60);
  ASSERT_EQ(bench.exporter.lost_messages(), 40);
  auto moved = config("cloud");
  moved.start_sequence_number = 5;
  bench.exporter.redefine(moved, bench.now);
  EXPECT_EQ(bench.log(40, 60), 0);
  EXPECT_EQ(bench.exporter.next(), seq(40));
  EXPECT_EQ(bench.exporter.lost_messages(), 40);
}

TEST(Positioning, AnAnswerThatWasUnderWayDoesNotMoveARepositionedExport) {
  Bench bench;
  bench.log(0, 60);
  bench.take();
  auto moved = config("cloud");
  moved.start_sequence_number = 3;
  bench.exporter.redefine(moved, bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kInFlight);
  const auto settled = bench.finish(bench.answer(Outcome::delivered(), 50));
  EXPECT_EQ(settled.result, Result::kSuperseded);
  EXPECT_EQ(bench.exporter.next(), seq(3));
  EXPECT_EQ(bench.take().from, seq(3));
}

TEST(Positioning, AnotherDestinationKeepsThePositionAndGetsAllThatIsBehindIt) {
  Bench bench;
  bench.log(0, 10);
  bench.deliver(mixed({kYes, kAgain, kYes, kYes}), 4);
  auto moved = config("cloud");
  moved.target = "elsewhere";
  EXPECT_TRUE(bench.exporter.redefine(moved, bench.now).other_destination);
  EXPECT_EQ(bench.exporter.state(), State::kReady) << "the new one need not wait for the old one";
  const Grant grant = bench.take();
  EXPECT_EQ(grant.from, seq(1)) << "2 and 3 went to the old destination";
  EXPECT_TRUE(grant.only.empty());
}

TEST(Positioning, PausingFinishesWhatIsUnderWayAndResumesThere) {
  Bench bench;
  bench.log(0, 10);
  bench.take();
  bench.exporter.redefine(disabled(), bench.now);
  bench.finish(bench.answer(Outcome::delivered(), 6));
  EXPECT_EQ(bench.exporter.state(), State::kStopped);
  EXPECT_EQ(bench.exporter.next(), seq(6));
  bench.exporter.redefine(config("cloud"), bench.now);
  EXPECT_EQ(bench.take().from, seq(6));
}

TEST(Exporter, AHostThatWorksForOthersWakesItOnceInARow) {
  Bench bench;
  bench.log(0, 1);
  auto refused = Outcome::retry(FailureClass::kTransient, "connection refused");
  refused.connection_failed = true;
  bench.deliver(refused, 1);
  bench.exporter.host_works(bench.now);
  ASSERT_EQ(bench.exporter.state(), State::kReady);
  bench.deliver(refused, 1);
  EXPECT_FALSE(bench.exporter.waits_for_host()) << "its own connection may be what is broken";
  bench.exporter.host_works(bench.now);
  ASSERT_EQ(bench.exporter.state(), State::kBackoff);
  bench.now = bench.exporter.deadline();
  bench.exporter.tick(bench.now);
  bench.deliver(refused, 1);
  EXPECT_TRUE(bench.exporter.waits_for_host()) << "it has tried on its own since";
  Bench denied;
  denied.log(0, 1);
  denied.deliver(Outcome::retry(FailureClass::kOperator, "AccessDenied"), 1);
  EXPECT_FALSE(denied.exporter.waits_for_host()) << "the host answered";
}

}  // namespace
}  // namespace weir::exporter
