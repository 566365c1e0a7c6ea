// Exports whose configuration changes while they run.

#include "base/log.h"
#include "exporter/bandwidth.h"
#include "exporter/fakes.h"
#include "exporter/reporter.h"
#include "exporter/scheduler.h"

#include <atomic>
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;
using fake::config;
using ::testing::ElementsAre;

// A scheduler whose saver and workers are the test. Each destination that is made has a number.
class Reconfigured : public ::testing::Test, public Hands {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    log_->append(4);
  }
  void TearDown() override { log::capture(nullptr); }
  void deliver(Job job) override { jobs_.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks_.push_back(std::move(task)); }

  Result<std::unique_ptr<Destination>> make(const ExportSpec& spec) {
    made_with_ = spec.priority;
    if (broken_) return fail(Errc::kInvalidArgument, "no such file");
    return std::make_unique<fake::ScriptedDestination>(
        [this, number = ++made_](const Batch& batch, const std::stop_token& stop) {
          std::string text = std::to_string(number) + (stop.stop_requested() ? "!" : ":");
          for (const auto& message : batch.messages()) {
            text += " " + std::to_string(message.sequence.value());
          }
          sent_.push_back(text);
          return answer_;
        });
  }

  void want(std::uint64_t route, std::uint64_t options) {
    std::vector<Engine::Wanted> wanted = {{config("cloud"), true, route, options}};
    wanted[0].config.priority = priority_;
    board_.set(StreamId(1), "pumps", log_, wanted, cursors_->load());
    scheduler_.set_exports(StreamId(1), "pumps", log_, cursors_, wanted, log_->oldest(),
                           log_->durable_end());
    while (!tasks_.empty()) {
      const CursorTask task = std::move(tasks_.front());
      tasks_.pop_front();
      if (task.kind == CursorTask::Kind::kLoad) {
        scheduler_.loaded(task.stream, task.store->load());
      } else {
        scheduler_.saved(task.serial, task.revision, carry_out(task));
      }
    }
    scheduler_.run_once();
  }
  void append(std::int64_t count) {
    log_->append(count);
    if (filter_.moved(StreamId(1), clock_.now())) scheduler_.run_once();
  }
  void run_jobs() {
    scheduler_.run_once();
    while (!jobs_.empty()) {
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      scheduler_.delivered(job.id, run_job(job));
      scheduler_.run_once();
    }
  }

  ManualClock clock_;
  metrics::Registry metrics_;
  MoveFilter filter_;
  Reporter reporter_{metrics_};
  StatusBoard board_{clock_};
  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>();
  std::shared_ptr<fake::Cursors> cursors_ = std::make_shared<fake::Cursors>();
  std::deque<Job> jobs_;
  std::deque<CursorTask> tasks_;
  bool broken_ = false;
  int made_ = 0;
  std::shared_ptr<const std::atomic<std::int64_t>> made_with_;
  std::optional<std::int64_t> priority_;
  Outcome answer_ = Outcome::delivered();
  std::vector<std::string> sent_;
  Scheduler scheduler_{Options(), Scheduler::Environment{
                                      clock_, [this](const ExportSpec& spec) { return make(spec); },
                                      *this, filter_, board_, reporter_, 1}};
};

TEST_F(Reconfigured, TheSameWishMakesNothingAnew) {
  want(1, 1);
  run_jobs();
  want(1, 1);
  append(1);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre("1: 0 1 2 3", "1: 4"));
}

TEST_F(Reconfigured, OtherOptionsCountFromTheNextDeliveryAndTheOneUnderWayCounts) {
  want(1, 1);
  ASSERT_EQ(jobs_.size(), 1U);
  want(1, 2);
  EXPECT_EQ(made_, 1) << "one call of a destination at a time";
  run_jobs();
  EXPECT_EQ(made_, 2);
  append(2);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre("1: 0 1 2 3", "2: 4 5")) << "nothing twice, nothing left out";
}

TEST_F(Reconfigured, AnotherPriorityReachesTheDestinationThatIsThereAndTheDeliveryUnderWay) {
  want(1, 1);
  ASSERT_EQ(jobs_.size(), 1U);
  EXPECT_EQ(made_with_->load(), kPriorityLowest);
  priority_ = 3;
  want(1, 1);
  EXPECT_EQ(made_with_->load(), 3);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre("1: 0 1 2 3"));
}

TEST_F(Reconfigured, WhatGoesElsewhereInterruptsTheDeliveryAndSendsItThere) {
  want(1, 1);
  ASSERT_EQ(jobs_.size(), 1U);
  want(2, 1);
  run_jobs();
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(sent_.back(), "2: 0 1 2 3") << "the new place has not seen them";
}

TEST_F(Reconfigured, APositionThatWasReachedStaysWhenItGoesElsewhere) {
  want(1, 1);
  run_jobs();
  want(2, 1);
  append(1);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre("1: 0 1 2 3", "2: 4"));
}

TEST_F(Reconfigured, OtherOptionsEndTheWaitAfterAFailure) {
  answer_ = Outcome::retry(FailureClass::kOperator, "not allowed");
  want(1, 1);
  run_jobs();
  EXPECT_TRUE(jobs_.empty()) << "it waits";
  answer_ = Outcome::delivered();
  want(1, 2);
  run_jobs();
  EXPECT_EQ(sent_.back(), "2: 0 1 2 3");
}

TEST_F(Reconfigured, OtherOptionsMendADestinationThatCouldNotBeMade) {
  broken_ = true;
  want(1, 1);
  EXPECT_EQ(board_.views().at(0).state, State::kBroken);
  broken_ = false;
  want(1, 2);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre("1: 0 1 2 3"));
}

TEST_F(Reconfigured, WaitsAreTheNewOnesFromTheNextFailureOn) {
  answer_ = Outcome::retry(FailureClass::kTransient, "not now");
  answer_.retry_after.reset();
  want(1, 1);
  run_jobs();
  Options quicker;
  quicker.backoff_first_ms = 10;
  quicker.backoff_ceiling_ms = 10;
  quicker.operator_retry_min_ms = 10;
  scheduler_.set_options(quicker);
  clock_.advance(1s);
  run_jobs();
  ASSERT_EQ(sent_.size(), 2U) << "the wait that had begun";
  clock_.advance(10ms);
  run_jobs();
  EXPECT_EQ(sent_.size(), 3U);
}

TEST(ReconfiguredBandwidth, WhoWaitsGoesOnAtTheNewRate) {
  ManualClock clock;  // stands still: the old rate alone would never let it go
  BandwidthLimiter limiter(8, clock);
  ASSERT_TRUE(limiter.acquire(1, 1, {})) << "the burst";
  bool sent = false;
  std::thread upload([&] { sent = limiter.acquire(1'000'000, 1, {}); });
  limiter.set_rate(0);
  upload.join();
  EXPECT_TRUE(sent);
  EXPECT_TRUE(limiter.unlimited());
}

TEST(ReconfiguredBandwidth, ALimitCanBeSetLater) {
  ManualClock clock;
  BandwidthLimiter limiter(0, clock);
  ASSERT_TRUE(limiter.acquire(1'000'000, 1, {}));
  limiter.set_rate(8'000);
  EXPECT_FALSE(limiter.unlimited());
  ASSERT_TRUE(limiter.acquire(1'000, 1, {})) << "one second at once";
  std::stop_source stop;
  bool sent = true;
  std::thread upload([&] { sent = limiter.acquire(1, 1, stop.get_token()); });
  stop.request_stop();
  upload.join();
  EXPECT_FALSE(sent);
}

}  // namespace
}  // namespace weir::exporter
