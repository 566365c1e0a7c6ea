// A worker that stays with an export for several batches.

#include "exporter/delivery.h"
#include "exporter/fakes.h"
#include "exporter/lookahead.h"
#include "exporter/rest.h"

#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace weir::exporter {
namespace {

using fake::seq;
using ::testing::ElementsAre;

// With and without a second thread that prepares the next batch: the results are the same.
class StayTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    limits_.messages_max = 10;
    if (GetParam()) helper_ = std::thread([this] { lookahead_.run(); });
  }
  void TearDown() override {
    lookahead_.close();
    if (helper_.joinable()) helper_.join();
  }

  // Granted all that is there from `from` on, in batches of ten.
  Job job(std::int64_t from = 0) {
    Job result;
    result.stream_name = "pumps";
    result.identifier = "cloud";
    result.grant.generation = 7;
    result.grant.from = seq(from);
    result.grant.messages_max = 10;
    result.log = log_;
    destination_ = std::make_shared<fake::PreparingDestination>(
        [this](const Batch& batch, const std::stop_token&) {
          const std::int64_t first = batch.messages().front().sequence.value();
          for (const Message& message : batch.messages()) {
            EXPECT_EQ(as_text(message.payload), log_->payload(message.sequence.value()));
          }
          received_.push_back(first);
          return answer_ ? answer_(first) : Outcome::delivered();
        },
        limits_);
    result.destination = destination_;
    result.reserved_bytes = limits_.batch_bytes_max;
    result.stop = stop_.get_token();
    result.stay = {100, std::chrono::hours(1), GetParam()};
    return result;
  }
  Delivery run(const Job& job, const Rest* rest = nullptr) {
    return run_job(job, &lookahead_, rest);
  }

  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>();
  Destination::Limits limits_;
  std::shared_ptr<fake::PreparingDestination> destination_;
  std::function<Outcome(std::int64_t first)> answer_;
  std::vector<std::int64_t> received_;  // the first number of each batch
  std::stop_source stop_;
  Lookahead lookahead_;
  std::thread helper_;
};

INSTANTIATE_TEST_SUITE_P(Alone, StayTest, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(LookingAhead, StayTest, ::testing::Values(true));

TEST_P(StayTest, DeliversOneFullBatchAfterTheOtherAndAnswersForAll) {
  log_->append(1'005);
  const Delivery delivery = run(job());
  ASSERT_EQ(received_.size(), 100U);
  for (std::size_t i = 0; i < received_.size(); ++i) {
    EXPECT_EQ(received_[i], static_cast<std::int64_t>(10 * i));
  }
  EXPECT_EQ(delivery.kind, Delivery::Kind::kAnswered);
  EXPECT_EQ(delivery.outcome.verdict, Verdict::kDelivered);
  EXPECT_TRUE(delivery.outcome.records.empty());
  EXPECT_EQ(delivery.next, seq(1'000));
  ASSERT_EQ(delivery.sent.size(), 1'000U);
  for (std::int64_t i = 0; i < 1'000; ++i) {
    const auto& sent = delivery.sent[static_cast<std::size_t>(i)];
    EXPECT_EQ(sent.sequence, seq(i));
    EXPECT_EQ(sent.bytes, static_cast<std::int64_t>(log_->payload(i).size()));
  }
  EXPECT_EQ(destination_->prepared(), received_) << "each once, in order";
}

TEST_P(StayTest, TwoBatchesAreInMemoryOnlyWhereItIsSetAsideForTwo) {
  log_->append(100);
  EXPECT_EQ(run(job()).next, seq(100));
  EXPECT_EQ(destination_->made(), GetParam() ? 2 : 1);
}

TEST_P(StayTest, ADestinationThatBreaksOffLetsTheBatchBehindItBeFinishedFirst) {
  log_->append(100);
  answer_ = [](std::int64_t first) {
    if (first == 20) throw first;  // no exception that anybody expects
    return Outcome::delivered();
  };
  const Delivery delivery = run(job());
  EXPECT_EQ(delivery.outcome.verdict, Verdict::kRetry);
  EXPECT_EQ(delivery.outcome.failure, FailureClass::kBug);
  EXPECT_TRUE(delivery.sent.empty());
  const auto prepared = destination_->prepared();
  EXPECT_EQ(prepared.back(), GetParam() ? 30 : 20) << "what was begun beside it came to its end";
}

TEST_P(StayTest, WhatIsLessThanABatchIsLeftToTheExport) {
  log_->append(29);
  EXPECT_EQ(run(job()).next, seq(20));
  EXPECT_THAT(received_, ElementsAre(0, 10));
}

TEST_P(StayTest, AnExportWithLittleToSendIsServedAsEver) {
  log_->append(3);
  EXPECT_EQ(run(job()).next, seq(3));
  EXPECT_THAT(received_, ElementsAre(0));
}

TEST_P(StayTest, IsNotForAResend) {
  log_->append(100);
  Job resend = job();
  resend.grant.only = {seq(2), seq(4)};
  resend.grant.messages_max = 2;
  const auto taken = std::make_shared<fake::ScriptedDestination>(
      [](const Batch&, const std::stop_token&) { return Outcome::delivered(); });
  resend.destination = taken;
  const Delivery delivery = run(resend);
  EXPECT_EQ(delivery.sent.size(), 2U);
  EXPECT_EQ(delivery.next, seq(5));
}

TEST_P(StayTest, ADestinationThatDoesNotPrepareGetsOneBatchAJob) {
  log_->append(100);
  Job plain = job();
  int calls = 0;
  plain.destination =
      std::make_shared<fake::ScriptedDestination>([&](const Batch&, const std::stop_token&) {
        ++calls;
        return Outcome::delivered();
      });
  EXPECT_EQ(run(plain).next, seq(10));
  EXPECT_EQ(calls, 1);
}

TEST_P(StayTest, TimeThatIsUpEndsIt) {
  log_->append(100);
  Job hasty = job();
  hasty.stay.at_most = Duration{0};
  EXPECT_EQ(run(hasty).next, seq(10));
  EXPECT_THAT(received_, ElementsAre(0));
  EXPECT_THAT(destination_->prepared(), ElementsAre(0)) << "nothing in vain";
}

TEST_P(StayTest, APartialFailureEndsItAndNothingIsSentBehindIt) {
  log_->append(100);
  answer_ = [](std::int64_t first) {
    if (first < 30) return Outcome::delivered();
    Outcome outcome = Outcome::retry(FailureClass::kThrottle, "slow down");
    outcome.retry_after = std::chrono::seconds(7);
    outcome.records.resize(10);
    for (std::size_t i = 0; i < 10; ++i) {
      outcome.records[i].verdict = i == 4 ? Verdict::kRetry : Verdict::kDelivered;
    }
    return outcome;
  };
  const Delivery delivery = run(job());
  EXPECT_THAT(received_, ElementsAre(0, 10, 20, 30));
  EXPECT_EQ(delivery.next, seq(40));
  ASSERT_EQ(delivery.sent.size(), 40U);
  EXPECT_EQ(delivery.sent_before, 30);
  ASSERT_EQ(delivery.outcome.records.size(), 40U);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(delivery.outcome.records[i].verdict, i == 34 ? Verdict::kRetry : Verdict::kDelivered)
        << i;
  }
  EXPECT_EQ(delivery.outcome.failure, FailureClass::kThrottle);
  EXPECT_EQ(delivery.outcome.error, "slow down");
  EXPECT_EQ(delivery.outcome.retry_after, std::chrono::seconds(7));
}

TEST_P(StayTest, AFailureOfAWholeBatchIsThatOfItsMessagesAlone) {
  log_->append(100);
  answer_ = [](std::int64_t first) {
    if (first < 20) return Outcome::delivered();
    Outcome outcome = Outcome::retry(FailureClass::kTransient, "no answer");
    outcome.connection_failed = true;
    return outcome;
  };
  const Delivery delivery = run(job());
  ASSERT_EQ(delivery.outcome.records.size(), 30U);
  for (std::size_t i = 0; i < 30; ++i) {
    const RecordOutcome& record = delivery.outcome.records[i];
    EXPECT_EQ(record.verdict, i < 20 ? Verdict::kDelivered : Verdict::kRetry) << i;
    EXPECT_EQ(record.reason, i < 20 ? "" : "no answer");
  }
  EXPECT_TRUE(delivery.outcome.connection_failed);
}

TEST_P(StayTest, TheFirstBatchFailsAsEver) {
  log_->append(100);
  answer_ = [](std::int64_t) { return Outcome::retry(FailureClass::kOperator, "denied"); };
  const Delivery delivery = run(job());
  EXPECT_THAT(received_, ElementsAre(0));
  EXPECT_TRUE(delivery.outcome.records.empty());
  EXPECT_EQ(delivery.outcome.failure, FailureClass::kOperator);
  EXPECT_EQ(delivery.sent.size(), 10U);
}

TEST_P(StayTest, AnAnswerForAnotherNumberOfMessagesCountsForNone) {
  log_->append(100);
  answer_ = [](std::int64_t first) {
    Outcome outcome = Outcome::delivered();
    if (first == 10) outcome.records.resize(3, {Verdict::kDelivered, FailureClass::kNone, {}});
    return outcome;
  };
  const Delivery delivery = run(job());
  ASSERT_EQ(delivery.outcome.records.size(), 20U);
  EXPECT_EQ(delivery.outcome.records[9].verdict, Verdict::kDelivered);
  EXPECT_EQ(delivery.outcome.records[10].verdict, Verdict::kRetry);
  EXPECT_EQ(delivery.outcome.failure, FailureClass::kBug);
}

TEST_P(StayTest, AStopLeavesWhatWasDelivered) {
  log_->append(100);
  answer_ = [this](std::int64_t first) {
    if (first < 20) return Outcome::delivered();
    stop_.request_stop();
    return Outcome::retry(FailureClass::kTransient, "interrupted");
  };
  const Delivery delivery = run(job());
  EXPECT_EQ(delivery.kind, Delivery::Kind::kAnswered);
  EXPECT_EQ(delivery.outcome.verdict, Verdict::kDelivered);
  EXPECT_EQ(delivery.sent.size(), 20U);
  EXPECT_EQ(delivery.next, seq(20));
}

TEST_P(StayTest, ABatchTakenWhileStoppingIsTheLastAndCounts) {
  log_->append(100);
  answer_ = [this](std::int64_t first) {
    if (first == 20) stop_.request_stop();
    return Outcome::delivered();
  };
  EXPECT_EQ(run(job()).next, seq(30));
  EXPECT_THAT(received_, ElementsAre(0, 10, 20));
}

TEST_P(StayTest, WhatIsMissingIsLeftForTheNextJobToAccountFor) {
  log_->append(100);
  log_->damage(30, 34);
  const Delivery before = run(job());
  EXPECT_EQ(before.next, seq(30));
  const Delivery behind = run(job(30));
  EXPECT_EQ(behind.sent.front().sequence, seq(34));
}

TEST_P(StayTest, AReadErrorOnTheWayIsLeftForTheNextJobToMeet) {
  log_->append(100);
  log_->fail_reads_at(40, {Errc::kIo, "read segment 3: Input/output error", 5});
  const Delivery before = run(job());
  EXPECT_EQ(before.kind, Delivery::Kind::kAnswered);
  EXPECT_EQ(before.next, seq(40));
  EXPECT_EQ(run(job(40)).kind, Delivery::Kind::kReadFailed);
}

TEST_P(StayTest, AMessageThatNeedsMoreMemoryIsLeftForTheNextJobToAskFor) {
  log_ = std::make_shared<fake::Log>("log", 100'000);  // 7, 57, ... are large
  log_->append(100);
  limits_.batch_bytes_max = 1'000;
  const Delivery before = run(job(47));
  EXPECT_EQ(before.next, seq(57));
  const Delivery there = run(job(57));
  EXPECT_EQ(there.kind, Delivery::Kind::kNeedsBytes);
  EXPECT_GT(there.bytes_needed, 100'000);
}

// A worker whose every batch takes 3 ms of the processor.
TEST_P(StayTest, AfterEachBatchTheWorkerRestsWhileClientsAreServed) {
  using std::chrono::milliseconds;
  Duration used{0};
  answer_ = [&](std::int64_t) {
    used += milliseconds(3);
    return Outcome::delivered();
  };
  double load = 0.95;
  std::vector<Duration> rests;
  const Rest rest(
      {[&] { return load; }, [&] { return used; }, [&](Duration time) { rests.push_back(time); }});
  log_->append(60);
  EXPECT_EQ(run(job(), &rest).next, seq(60));
  EXPECT_EQ(rests, std::vector<Duration>(6, milliseconds(6)));
  rests.clear();
  load = 0.2;
  EXPECT_EQ(run(job(), &rest).next, seq(60));
  EXPECT_THAT(rests, ElementsAre());
}

TEST_P(StayTest, WhoIsToStopDoesNotRest) {
  Duration used{0};
  const Rest rest(
      {[] { return 1.0; }, [&] { return used; }, [](Duration) { ADD_FAILURE() << "rested"; }});
  log_->append(60);
  answer_ = [&](std::int64_t) {
    used += std::chrono::milliseconds(3);
    stop_.request_stop();
    return Outcome::delivered();
  };
  EXPECT_EQ(run(job(), &rest).next, seq(10));
}

TEST(Rest, GrowsWithTheLoadAndWithTheWorkAndIsBounded) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  const Duration batch = microseconds(400);
  EXPECT_EQ(Rest::after(batch, 0), Duration{0});
  EXPECT_EQ(Rest::after(batch, 0.4), Duration{0});
  EXPECT_NEAR(static_cast<double>(Rest::after(batch, 0.5).count()), 400'000, 1);
  EXPECT_EQ(Rest::after(batch, 0.6), microseconds(800));
  EXPECT_EQ(Rest::after(batch, 1), microseconds(800));
  EXPECT_EQ(Rest::after(Duration{0}, 1), Duration{0});
  EXPECT_EQ(Rest::after(std::chrono::seconds(3), 1), milliseconds(20));
  EXPECT_EQ(Rest::after(-batch, 1), Duration{0});
}

TEST(Rest, OfNobodyIsNone) {
  const Rest rest(nullptr);
  Duration since = rest.begin();
  rest.take(since);
  EXPECT_GT(since, Duration{0});
}

TEST(Lookahead, WhatNobodyBeginsIsDoneByWhoeverWaits) {
  Lookahead nobody;
  int done = 0;
  const auto task = std::make_shared<Lookahead::Task>([&] { ++done; });
  nobody.offer(task);
  nobody.finish(task);
  nobody.finish(task);
  EXPECT_EQ(done, 1);
}

TEST(Lookahead, ManyWorkersEachGetTheirOwnWorkDoneOnce) {
  Lookahead lookahead;
  std::thread helper([&] { lookahead.run(); });
  std::vector<std::thread> workers;
  std::vector<int> sums(4, 0);
  for (int& sum : sums) {
    workers.emplace_back([&lookahead, &sum] {
      for (int i = 0; i < 2'000; ++i) {
        const auto task = std::make_shared<Lookahead::Task>([&sum, i] { sum += i; });
        lookahead.offer(task);
        lookahead.finish(task);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const int sum : sums) EXPECT_EQ(sum, 1'999'000);
  lookahead.close();
  helper.join();
}

TEST(Lookahead, WhoeverWaitedForItsWorkMayOfferMoreAtOnce) {
  Lookahead lookahead;
  std::thread helper([&] { lookahead.run(); });
  int done = 0;
  const auto offered = [&] {
    const auto task = std::make_shared<Lookahead::Task>([&] { ++done; });
    const bool taken = lookahead.offer(task);
    lookahead.finish(task);
    return taken;
  };
  while (!offered()) std::this_thread::yield();  // the thread begins
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) refused += offered() ? 0 : 1;
  EXPECT_EQ(refused, 0);
  lookahead.close();
  helper.join();
}

TEST(Lookahead, AfterItIsClosedWorkersDoEverythingThemselves) {
  Lookahead lookahead;
  std::thread helper([&] { lookahead.run(); });
  lookahead.close();
  helper.join();
  bool done = false;
  const auto task = std::make_shared<Lookahead::Task>([&] { done = true; });
  lookahead.offer(task);
  lookahead.finish(task);
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace weir::exporter
