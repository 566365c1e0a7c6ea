// Exports that are removed or led elsewhere, and messages that are left out.

#include "exporter/farewell.h"

#include "base/log.h"
#include "exporter/fakes.h"
#include "exporter/reporter.h"
#include "exporter/scheduler.h"

#include <algorithm>
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace weir::exporter {
namespace {

using fake::config;
using fake::seq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FarewellReading, TheFirstAndTheNewestThousandAreTakenAndTheOthersCounted) {
  fake::Log log;
  log.append(1500);
  const auto left = read_farewell("pumps", "cloud", log, seq(10));
  const auto& messages = left->pending.messages();
  ASSERT_EQ(messages.size(), 1001U);
  EXPECT_EQ(messages[0].sequence, seq(10));
  EXPECT_EQ(messages[1].sequence, seq(500));
  EXPECT_EQ(messages.back().sequence, seq(1499));
  EXPECT_EQ(as_text(messages.back().payload), log.payload(1499));
  EXPECT_EQ(left->older, 489);
}

TEST(FarewellReading, AThousandOrFewerAreAllTaken) {
  fake::Log log;
  log.append(1005);
  const auto left = read_farewell("pumps", "cloud", log, seq(5));
  EXPECT_EQ(left->pending.size(), 1000U);
  EXPECT_EQ(left->pending.messages()[0].sequence, seq(5));
  EXPECT_EQ(left->older, 0);
  EXPECT_TRUE(read_farewell("pumps", "cloud", log, seq(1005))->pending.empty());
}

TEST(FarewellReading, OfLargeOnesTheNewestKeepTheirPayloads) {
  fake::Log log("log", 1 << 20);  // one in fifty
  log.append(1000);
  const auto left = read_farewell("pumps", "cloud", log, seq(0));
  const auto& messages = left->pending.messages();
  ASSERT_EQ(messages.size(), 1000U) << "none is forgotten";
  EXPECT_EQ(as_text(messages[999].payload), log.payload(999));
  EXPECT_EQ(as_text(messages[657].payload), log.payload(657)) << "the seventh large one";
  EXPECT_TRUE(messages[607].payload.empty()) << "the eighth";
  EXPECT_TRUE(messages[0].payload.empty());
  EXPECT_LE(left->pending.payload_bytes(), std::size_t{8} << 20);
}

TEST(FarewellReading, OneThatIsTooLargeForAllComesWithoutItsPayload) {
  fake::Log log("log", std::size_t{9} << 20);
  log.append(9);
  const auto left = read_farewell("pumps", "cloud", log, seq(0));
  const auto& messages = left->pending.messages();
  ASSERT_EQ(messages.size(), 9U);
  EXPECT_TRUE(messages[7].payload.empty());
  EXPECT_EQ(as_text(messages[8].payload), log.payload(8));
}

// Notes what it is told, with the number of the destination.
class Leaving final : public Destination {
 public:
  Leaving(std::vector<std::string>& told, int number) : told_(told), number_(number) {}
  [[nodiscard]] Limits limits() const override {
    Limits limits;
    limits.messages_max = 1;
    return limits;
  }
  Outcome deliver(const Batch& batch, std::stop_token stop) override {
    if (stop.stop_requested()) return Outcome::retry(FailureClass::kTransient, "stopped");
    tell("does " + std::to_string(batch.messages().front().sequence.value()));
    return Outcome::retry(FailureClass::kTransient, "not now");
  }
  [[nodiscard]] bool wants_farewell() const override { return true; }
  void passed(SequenceNumber next, std::stop_token) override {
    tell("passed " + std::to_string(next.value()));
  }
  void farewell(const Farewell& left, std::stop_token stop) override {
    tell((stop.stop_requested() ? "stopped with " : "leaves ") +
         std::to_string(left.pending.size()) +
         (left.pending.payload_bytes() == 0 && !left.pending.empty() ? " empty ones" : ""));
  }
  [[nodiscard]] std::string host() const override { return {}; }

 private:
  void tell(const std::string& what) { told_.push_back(std::to_string(number_) + " " + what); }
  std::vector<std::string>& told_;
  const int number_;
};

// A scheduler whose saver and workers are the test.
class Farewells : public ::testing::Test, public Hands {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    log_->append(4);
  }
  void TearDown() override { log::capture(nullptr); }
  void deliver(Job job) override { jobs_.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks_.push_back(std::move(task)); }

  void want(const std::vector<Engine::Wanted>& wanted, std::uint64_t id = 1) {
    const std::string name = "uploads-" + std::to_string(id);
    board_.set(StreamId(id), name, log_, wanted, cursors_->load());
    scheduler_.set_exports(StreamId(id), name, log_, cursors_, wanted, log_->oldest(),
                           log_->durable_end());
    save();
    scheduler_.run_once();
  }
  static std::vector<Engine::Wanted> one(std::uint64_t route = 1) {
    return {{config("s3"), true, route, 1}};
  }
  void save() {
    while (!tasks_.empty()) {
      const CursorTask task = std::move(tasks_.front());
      tasks_.pop_front();
      if (task.kind == CursorTask::Kind::kLoad) {
        scheduler_.loaded(task.stream, task.store->load());
      } else if (task.kind == CursorTask::Kind::kSave) {
        scheduler_.saved(task.serial, task.revision, carry_out(task));
      } else {
        scheduler_.removed(task.stream, carry_out(task));
      }
    }
  }
  // A worker takes the next job and ends it.
  void run_job_at_front() {
    ASSERT_FALSE(jobs_.empty());
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    scheduler_.delivered(job.id, run_job(job));
    scheduler_.run_once();
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
  std::vector<std::string> told_;
  int made_ = 0;
  Scheduler scheduler_{Options(),
                       Scheduler::Environment{clock_,
                                              [this](const ExportSpec&) {
                                                return Result<std::unique_ptr<Destination>>(
                                                    std::make_unique<Leaving>(told_, ++made_));
                                              },
                                              *this, filter_, board_, reporter_, 1}};
};

TEST_F(Farewells, WhoComesBackBeginsWhenTheFarewellHasEnded) {
  want(one());
  run_job_at_front();
  want({});
  ASSERT_EQ(jobs_.size(), 1U) << "the farewell";
  want(one());
  EXPECT_EQ(jobs_.size(), 1U) << "nothing beside it";
  run_job_at_front();
  run_job_at_front();
  EXPECT_THAT(told_, ElementsAre("1 does 0", "1 leaves 4", "2 does 0"));
}

TEST_F(Farewells, WhatIsLedElsewhereEndsWhatItBeganFirst) {
  want(one(1));
  run_job_at_front();
  want(one(2));
  ASSERT_EQ(jobs_.size(), 1U);
  run_job_at_front();
  run_job_at_front();
  EXPECT_THAT(told_, ElementsAre("1 does 0", "1 leaves 0", "2 does 0"))
      << "what waits is not left behind";
}

TEST_F(Farewells, AStopLetsThemEndAndTheDeliveryBeforeThemNot) {
  want(one());
  want({});
  ASSERT_EQ(jobs_.size(), 1U) << "the delivery";
  scheduler_.stop_granting();
  run_job_at_front();
  EXPECT_EQ(scheduler_.deliveries_under_way(), 1U);
  run_job_at_front();
  EXPECT_THAT(told_, ElementsAre("1 leaves 4"));
  EXPECT_EQ(scheduler_.deliveries_under_way(), 0U);
}

TEST_F(Farewells, AStopDoesNotWaitForThemForEver) {
  want(one());
  run_job_at_front();
  want({});
  scheduler_.stop_granting();
  scheduler_.stop_farewells();
  EXPECT_EQ(scheduler_.farewells_left(), 1U);
  run_job_at_front();
  EXPECT_EQ(scheduler_.farewells_left(), 0U);
  EXPECT_THAT(told_, ElementsAre("1 does 0", "1 stopped with 4"));
}

TEST_F(Farewells, TheyLeaveAWorkerToTheOthers) {
  for (std::uint64_t id = 1; id <= 7; ++id) want(one(), id);
  while (!jobs_.empty()) run_job_at_front();
  for (std::uint64_t id = 1; id <= 6; ++id) scheduler_.remove_stream(StreamId(id));
  clock_.advance(std::chrono::hours(1));
  scheduler_.run_once();
  const auto farewells = [this] {
    return std::count_if(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.farewell; });
  };
  EXPECT_EQ(jobs_.size(), 5U) << "as many as there are workers";
  EXPECT_EQ(farewells(), 4);
  told_.clear();
  while (farewells() > 0) run_job_at_front();
  EXPECT_EQ(std::count_if(told_.begin(), told_.end(),
                          [](const std::string& what) { return what.ends_with("leaves 4"); }),
            6);
}

TEST_F(Farewells, ThoseThatWaitTakeLittleMemory) {
  for (std::uint64_t id = 1; id <= 9; ++id) {
    want(one(), id);
    while (!jobs_.empty()) run_job_at_front();
  }
  for (std::uint64_t id = 1; id <= 9; ++id) {
    auto left = std::make_shared<Farewell>(Farewell{Batch("uploads", "s3"), 0, {}});
    left->pending.add(seq(0), 0, as_bytes(std::string(std::size_t{5} << 20, 'x')));
    scheduler_.leave_behind(StreamId(id), "s3", left);
    scheduler_.remove_stream(StreamId(id));
  }
  told_.clear();
  while (!jobs_.empty()) run_job_at_front();
  EXPECT_THAT(told_, ElementsAre("1 leaves 1", "2 leaves 1", "3 leaves 1", "4 leaves 1",
                                 "5 leaves 1", "6 leaves 1", "7 leaves 1", "8 leaves 1 empty ones",
                                 "9 leaves 1 empty ones"));
}

TEST_F(Farewells, WhatRetentionTakesFromATaskUnderWayIsToldWithoutANextOne) {
  want(one());
  run_job_at_front();
  log_->remove_below(4);
  if (filter_.moved(StreamId(1), clock_.now())) scheduler_.run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  run_job_at_front();
  EXPECT_THAT(jobs_, IsEmpty());
  EXPECT_THAT(told_, ElementsAre("1 does 0", "1 passed 4"));
}

TEST_F(Farewells, WhatAnEarlierProcessLeftOutIsToldAtTheStart) {
  stream::Cursor saved;
  saved.identifier = "s3";
  saved.type = config("s3").type;
  saved.next = seq(4);
  ASSERT_TRUE(cursors_->save(saved));
  want(one());
  scheduler_.run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  run_job_at_front();
  EXPECT_THAT(jobs_, IsEmpty());
  EXPECT_THAT(told_, ElementsAre("1 passed 4"));
}

TEST_F(Farewells, WhatRetentionTakesDuringADeliveryIsToldAfterIt) {
  want(one());
  log_->remove_below(4);
  if (filter_.moved(StreamId(1), clock_.now())) scheduler_.run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  run_job_at_front();
  ASSERT_EQ(jobs_.size(), 1U);
  run_job_at_front();
  EXPECT_EQ(told_.back(), "1 passed 4");
}

TEST_F(Farewells, WhoIsMovedForwardLeavesOutWhatIsBetween) {
  want(one());
  run_job_at_front();
  Order order;
  order.kind = Order::Kind::kMove;
  order.to = seq(4);
  order.confirmed = true;
  scheduler_.give_order(StreamId(1), "s3", order, [](const Result<std::string>&) {});
  scheduler_.run_once();
  EXPECT_THAT(jobs_, IsEmpty()) << "not before it is stored";
  // The position of before was still being stored.
  for (int i = 0; i < 2; ++i) {
    save();
    scheduler_.run_once();
  }
  run_job_at_front();
  EXPECT_THAT(told_, ElementsAre("1 does 0", "1 passed 4"));
}

}  // namespace
}  // namespace weir::exporter
