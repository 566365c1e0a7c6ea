#include "exporter/exporter_bench.h"

#include <gtest/gtest.h>
#include <map>

namespace weir::exporter {
namespace {

using namespace bench;
using Result = Exporter::Result;

TEST(Exporter, WithoutAnIntervalWhateverIsThereGoesAtOnce) {
  Bench bench;
  bench.log(0, 1);
  EXPECT_EQ(bench.exporter.state(), State::kReady);
  const Grant grant = bench.take();
  EXPECT_EQ(grant.from, seq(0));
  EXPECT_EQ(grant.messages_max, 500);
}

TEST(Exporter, ABatchIsAtMostTheSizeOfTheDefinitionAndOfTheDestination) {
  const auto size_of = [](model::ExportConfig definition, std::int64_t limit) {
    Bench bench(std::move(definition));
    Destination::Limits limits;
    limits.messages_max = limit;
    bench.exporter.destination_made(limits, bench.now);
    return bench.exporter.batch_messages();
  };
  auto small = config("a");
  small.batch_size = 7;
  EXPECT_EQ(size_of(config("a"), 10'000), 10'000) << "aggregates hold many";
  EXPECT_EQ(size_of(config("a", model::ExportType::kIotSitewise), 10'000), 10'000)
      << "redirected to where more fits into a call";
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
  Duration first = std::chrono::seconds(1);
};

TEST(Exporter, EachClassOfFailureWaitsItsTimeAndNeverGivesUp) {
  const std::vector<FailureRow> rows = {
      {FailureClass::kNone, FailureClass::kTransient, false},
      {FailureClass::kTransient, FailureClass::kTransient, false},
      {FailureClass::kThrottle, FailureClass::kThrottle, false, 4s},
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
    Duration full = row.first;
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
    EXPECT_LE(bench.deliver(Outcome::retry(row.given, "no"), 1).wait, row.first)
        << "success resets";
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

// The destination takes the first `taken` of `count` messages and wants to be spared.
Outcome throttled_after(std::int64_t taken, std::int64_t count) {
  Outcome outcome = Outcome::retry(FailureClass::kThrottle, "slow down");
  if (taken == 0) return outcome;
  outcome.records.resize(static_cast<std::size_t>(count),
                         {kAgain, FailureClass::kThrottle, "slow down"});
  for (std::size_t i = 0; i < static_cast<std::size_t>(taken); ++i)
    outcome.records[i] = {kYes, {}, {}};
  return outcome;
}

TEST(Exporter, WhileBatchesAreThrottledInPartTheWaitsGrowUntilOneIsTakenWhole) {
  Bench bench;
  bench.log(0, 1'000);
  std::int64_t size = 500;
  for (const Duration full : {1s, 2s, 4s, 8s}) {
    ASSERT_EQ(bench.take().messages_max, size) << "what is sent again is cut too";
    const auto settled = bench.finish(bench.answer(throttled_after(1, size), size));
    EXPECT_EQ(settled.result, Result::kPartial);
    EXPECT_GE(settled.wait, full / 2);
    EXPECT_LE(settled.wait, full);
    EXPECT_EQ(bench.exporter.consecutive_failures(), 1) << "something got through each time";
    bench.pass(settled.wait);
    size /= 2;
  }
  EXPECT_EQ(bench.deliver(Outcome::delivered(), size).result, Result::kSucceeded);
  bench.take();
  size = bench.grant.messages_max;
  EXPECT_LE(bench.finish(bench.answer(throttled_after(1, size), size)).wait, 1s);
}

TEST(Exporter, AThrottledCallIsWaitedOutAndOnlyTheNextMakesBatchesSmaller) {
  Bench bench;
  bench.log(0, 100'000);
  const auto throttled = [&] {
    bench.take();
    const auto size = bench.grant.messages_max;
    bench.pass(bench.finish(bench.answer(throttled_after(0, size), size)).wait);
    return size;
  };
  const auto taken = [&] {
    bench.take();
    const auto size = bench.grant.messages_max;
    bench.finish(bench.answer(Outcome::delivered(), size));
    return size;
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(throttled(), 500) << "calls are counted there, not messages";
    EXPECT_EQ(taken(), 500);
  }
  EXPECT_EQ(throttled(), 500);
  EXPECT_EQ(throttled(), 500);
  EXPECT_EQ(throttled(), 250);
  EXPECT_EQ(taken(), 125);
  EXPECT_EQ(taken(), 156);
  for (int i = 0; i < 10; ++i) taken();
  EXPECT_EQ(taken(), 497);
  EXPECT_EQ(taken(), 500);
  EXPECT_EQ(taken(), 500);
  for (int i = 0; i < 40; ++i) throttled();
  EXPECT_EQ(taken(), 1) << "never nothing";
}

TEST(Exporter, OtherFailuresLeaveBatchesAsTheyAre) {
  Bench bench;
  bench.log(0, 1'000);
  for (int i = 0; i < 3; ++i) {
    bench.pass(bench.deliver(Outcome::retry(FailureClass::kTransient, "no answer"), 500).wait);
  }
  EXPECT_EQ(bench.take().messages_max, 500);
}

TEST(Exporter, ABatchThatBytesHaveBoundedIsHalvedToo) {
  Bench bench;
  bench.log(0, 1'000);
  bench.pass(bench.deliver(throttled_after(2, 4), 4).wait);
  EXPECT_EQ(bench.take().messages_max, 2);
}

TEST(Exporter, AFullBatchIsCollectedAsEverWhileLessIsGranted) {
  Bench bench(with_interval(10, 60'000));
  bench.log(0, 10);
  bench.pass(bench.deliver(throttled_after(4, 10), 10).wait);
  bench.deliver(Outcome::delivered(), 0);
  bench.deliver(Outcome::delivered(), 0);
  EXPECT_EQ(bench.exporter.next(), seq(10));
  bench.log(0, 19);
  EXPECT_EQ(bench.exporter.state(), State::kCollecting);
  bench.log(0, 20);
  EXPECT_EQ(bench.exporter.state(), State::kReady);
}

TEST(Exporter, AThrottleBehindBatchesTakenInTheSameVisitIsTheFirst) {
  Bench bench;
  bench.log(0, 10'000);
  for (int i = 0; i < 3; ++i) {
    bench.take();
    Delivery delivery = bench.answer(throttled_after(1'500, 2'000), 2'000);
    delivery.sent_before = 1'500;  // three whole batches; the fourth is throttled as a whole
    const auto settled = bench.finish(delivery);
    EXPECT_GE(settled.wait, 2s);
    EXPECT_LE(settled.wait, 4s);
    EXPECT_EQ(bench.exporter.granted_messages(), 500);
    bench.pass(settled.wait);
    EXPECT_EQ(bench.deliver(Outcome::delivered(), 500).result, Result::kSucceeded);
  }
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
  bench.pass(settled.wait);
  grant = bench.take();
  EXPECT_EQ(grant.only, (std::vector{seq(2)}));
  settled = bench.finish(bench.answer(Outcome::delivered(), 1));
  EXPECT_EQ(bench.exporter.next(), seq(5)) << "over all that was delivered before";
  EXPECT_EQ(bench.take().from, seq(5));
  EXPECT_EQ(bench.exporter.status().exported_messages_count, 5);
}

TEST(Exporter, WhatIsLeftUntriedIsNoFailureAndGoesOnAtOnce) {
  Bench bench;
  bench.log(0, 20);
  auto settled = bench.deliver(mixed({kYes, kNever, kLater, kYes, kLater}), 5);
  EXPECT_EQ(settled.result, Result::kSucceeded);
  EXPECT_EQ(settled.rejected_messages, 1);
  EXPECT_EQ(bench.exporter.next(), seq(2));
  EXPECT_EQ(bench.exporter.state(), State::kReady);
  EXPECT_EQ(bench.exporter.status().error_message, "because") << "of the one that was refused";
  EXPECT_EQ(bench.take().only, (std::vector{seq(2), seq(4)}));
  settled = bench.finish(bench.answer(mixed({kAgain, kLater}), 2));
  EXPECT_EQ(settled.result, Result::kFailed) << "nothing got through";
  EXPECT_EQ(bench.exporter.state(), State::kBackoff);
  bench.pass(settled.wait);
  bench.take();
  settled = bench.finish(bench.answer(mixed({kLater, kLater}), 2));
  EXPECT_EQ(settled.result, Result::kFailed) << "who tries nothing would be asked for ever";
  EXPECT_NE(bench.exporter.status().error_message, "");
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
  // All batches of four messages with four verdicts each, the second answer likewise.
  constexpr std::array kVerdicts = {kYes, kAgain, kNever, kLater};
  for (int pattern = 0; pattern < 256 * 256; ++pattern) {
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
        const Verdict verdict = digits > 0 ? kVerdicts[static_cast<std::size_t>(digits % 4)] : kYes;
        digits /= 4;
        delivery.outcome.records.push_back({verdict, FailureClass::kThrottle, "because"});
        if (verdict != kAgain && verdict != kLater) ++done[sent.sequence.value()];
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

TEST(Exporter, KeysThatWorkForOthersWakeItOnceInARow) {
  auto without = Outcome::retry(FailureClass::kTransient, "the source of keys does not answer");
  without.without_keys = true;
  for (const auto& failure :
       {without, Outcome::retry(FailureClass::kCredentials, "ExpiredToken")}) {
    Bench bench;
    bench.log(0, 1);
    bench.deliver(failure, 1);
    bench.exporter.host_works(bench.now);
    ASSERT_EQ(bench.exporter.state(), State::kBackoff) << "it is not for want of a host";
    bench.exporter.keys_work(bench.now);
    ASSERT_EQ(bench.exporter.state(), State::kReady);
    bench.deliver(failure, 1);
    bench.exporter.keys_work(bench.now);
    ASSERT_EQ(bench.exporter.state(), State::kBackoff)
        << "those of its role may be what is missing";
    bench.now = bench.exporter.deadline();
    bench.exporter.tick(bench.now);
    bench.deliver(failure, 1);
    EXPECT_TRUE(bench.exporter.waits_for_keys());
  }
  Bench denied;
  denied.log(0, 1);
  denied.deliver(Outcome::retry(FailureClass::kOperator, "AccessDenied"), 1);
  EXPECT_FALSE(denied.exporter.waits_for_keys()) << "its keys were taken";
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
