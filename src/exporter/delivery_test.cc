#include "exporter/delivery.h"

#include "exporter/fakes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using fake::seq;
using ::testing::ElementsAre;

class RunJobTest : public ::testing::Test {
 protected:
  Job job(std::int64_t from, std::int64_t messages_max,
          const std::vector<std::int64_t>& only = {}) {
    Job result;
    result.stream_name = "pumps";
    result.identifier = "cloud";
    result.grant.generation = 7;
    result.grant.from = seq(from);
    for (const std::int64_t number : only) result.grant.only.push_back(seq(number));
    result.grant.messages_max = messages_max;
    result.log = log_;
    result.destination = std::make_shared<fake::ScriptedDestination>(
        [this](const Batch& batch, const std::stop_token&) {
          for (const Message& message : batch.messages()) {
            received_.push_back(message.sequence.value());
            EXPECT_EQ(as_text(message.payload), log_->payload(message.sequence.value()));
          }
          return outcome_;
        },
        limits_);
    result.reserved_bytes = limits_.batch_bytes_max;
    result.stop = stop_.get_token();
    return result;
  }

  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>("log", 10'000);
  Destination::Limits limits_;
  Outcome outcome_ = Outcome::delivered();
  std::stop_source stop_;
  std::vector<std::int64_t> received_;
};

TEST_F(RunJobTest, ReadsAsManyAsGrantedAndSaysWhereToGoOn) {
  log_->append(20);
  const Delivery delivery = run_job(job(8, 5));
  EXPECT_THAT(received_, ElementsAre(8, 9, 10, 11, 12));
  EXPECT_EQ(delivery.kind, Delivery::Kind::kAnswered);
  EXPECT_EQ(delivery.generation, 7U);
  EXPECT_EQ(delivery.next, seq(13));
  EXPECT_EQ(delivery.sent.size(), 5U);
  EXPECT_EQ(delivery.sent[0].bytes, static_cast<std::int64_t>(log_->payload(8).size()));
}

TEST_F(RunJobTest, ReadsOnlyWhatIsDurable) {
  log_->append(3);
  log_->hold_durable();
  log_->append(10);
  run_job(job(0, 100));
  EXPECT_THAT(received_, ElementsAre(0, 1, 2));
}

TEST_F(RunJobTest, CountsTheOverheadOfEachMessage) {
  log_->append(6);
  limits_.message_overhead_bytes = 1'000;
  limits_.batch_bytes_max = 2'500;
  run_job(job(0, 100));
  EXPECT_THAT(received_, ElementsAre(0, 1));
}

TEST_F(RunJobTest, ALargeMessageWaitsForItsMemoryAndThenGoesAlone) {
  log_->append(20);
  limits_.batch_bytes_max = 1'000;
  const Delivery refused = run_job(job(7, 100));
  EXPECT_EQ(refused.kind, Delivery::Kind::kNeedsBytes);
  EXPECT_EQ(refused.bytes_needed, static_cast<std::int64_t>(log_->payload(7).size()));
  EXPECT_TRUE(received_.empty());
  Job again = job(7, 100);
  again.reserved_bytes = refused.bytes_needed;
  EXPECT_EQ(run_job(again).kind, Delivery::Kind::kAnswered);
  EXPECT_THAT(received_, ElementsAre(7));
  Job whole_budget = job(7, 100);
  whole_budget.may_exceed_reservation = true;
  run_job(whole_budget);
  EXPECT_THAT(received_, ElementsAre(7, 7));
}

TEST_F(RunJobTest, ALargeMessageEndsTheBatchBeforeIt) {
  log_->append(20);
  limits_.batch_bytes_max = 1'000;
  const Delivery delivery = run_job(job(5, 100));
  EXPECT_THAT(received_, ElementsAre(5, 6));
  EXPECT_EQ(delivery.next, seq(7));
}

TEST_F(RunJobTest, ResendsOnlyWhatIsNamed) {
  log_->append(20);
  const Delivery delivery = run_job(job(15, 3, {2, 4, 9}));
  EXPECT_THAT(received_, ElementsAre(2, 4, 9));
  EXPECT_EQ(delivery.next, seq(10));
}

TEST_F(RunJobTest, AResendThatDoesNotFitGoesInParts) {
  log_->append(20);
  limits_.message_overhead_bytes = 1'000;
  limits_.batch_bytes_max = 2'500;
  const Delivery delivery = run_job(job(15, 3, {2, 4, 9}));
  EXPECT_THAT(received_, ElementsAre(2, 4));
  EXPECT_GT(delivery.next, seq(4));
  EXPECT_LE(delivery.next, seq(9));
}

TEST_F(RunJobTest, PassesOverDamageAndReportsWhatRetentionTook) {
  log_->append(20);
  log_->remove_below(5);
  log_->damage(6, 9);
  const Delivery delivery = run_job(job(0, 4));
  EXPECT_THAT(received_, ElementsAre(5, 9, 10, 11));
  EXPECT_EQ(delivery.oldest, seq(5));
  EXPECT_EQ(delivery.next, seq(12));
}

TEST_F(RunJobTest, DamageUpToTheEndLeavesNothingToSendButAPlaceToGoOn) {
  log_->append(20);
  log_->damage(12, 20);
  const Delivery delivery = run_job(job(12, 10));
  EXPECT_TRUE(delivery.sent.empty());
  EXPECT_EQ(delivery.next, seq(20));
  EXPECT_TRUE(received_.empty());
}

TEST_F(RunJobTest, AReadErrorIsReportedUnlessThereIsSomethingToDeliver) {
  log_->append(20);
  log_->fail_reads_at(10, {Errc::kIo, "read segment 3: Input/output error", 5});
  run_job(job(5, 100));
  EXPECT_THAT(received_, ElementsAre(5, 6, 7, 8, 9));
  const Delivery failed = run_job(job(10, 100));
  EXPECT_EQ(failed.kind, Delivery::Kind::kReadFailed);
  EXPECT_EQ(failed.outcome.error, "read the stream: read segment 3: Input/output error");
}

TEST_F(RunJobTest, AStopBeforeDeliveryIsNoAttempt) {
  log_->append(20);
  stop_.request_stop();
  EXPECT_EQ(run_job(job(0, 100)).kind, Delivery::Kind::kInterrupted);
  EXPECT_TRUE(received_.empty());
}

TEST_F(RunJobTest, ABatchThatWasTakenCountsAlthoughStopWasRequested) {
  log_->append(4);
  Job stopping = job(0, 100);
  stopping.destination =
      std::make_shared<fake::ScriptedDestination>([this](const Batch&, const std::stop_token&) {
        stop_.request_stop();
        return outcome_;
      });
  EXPECT_EQ(run_job(stopping).kind, Delivery::Kind::kAnswered);
  stop_ = std::stop_source();
  Job interrupted = job(0, 100);
  interrupted.destination =
      std::make_shared<fake::ScriptedDestination>([this](const Batch&, const std::stop_token&) {
        stop_.request_stop();
        return Outcome::retry(FailureClass::kTransient, "cancelled");
      });
  EXPECT_EQ(run_job(interrupted).kind, Delivery::Kind::kInterrupted);
}

TEST(Batch, OwnsItsBytesAndKeepsOrder) {
  Batch batch("pumps", "cloud");
  EXPECT_TRUE(batch.empty());
  {
    std::string text = "first";
    batch.add(seq(3), 100, as_bytes(text));
    text = "xxxxx";
    for (int i = 0; i < 100; ++i) batch.add(seq(4 + i), 101, as_bytes("more"));
  }
  ASSERT_EQ(batch.messages().size(), 101U);
  EXPECT_EQ(as_text(batch.messages()[0].payload), "first");
  EXPECT_EQ(batch.messages()[100].sequence, seq(103));
  EXPECT_EQ(batch.payload_bytes(), 405U);
  const Batch moved = std::move(batch);
  EXPECT_EQ(as_text(moved.messages()[0].payload), "first");
}

}  // namespace
}  // namespace weir::exporter
