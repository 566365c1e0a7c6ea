#include "base/log.h"
#include "exporter/fakes.h"
#include "exporter/scheduler.h"
#include "file/faulty_file_system.h"
#include "stream/cursor_files.h"

#include <cerrno>
#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using fake::config;
using fake::seq;
using file::Call;
using file::FaultyFileSystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kStream = "streams/1";

// Positions on a disk that may lose what was not synced; the test does the saver's work.
class Positions : public ::testing::Test, public Hands {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
  }
  void TearDown() override { log::capture(nullptr); }
  void deliver(Job job) override { jobs_.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks_.push_back(std::move(task)); }

  // As a start on this disk, with a log of 100 messages.
  void start(std::uint64_t seed) {
    disk_ = std::make_unique<FaultyFileSystem>(seed);
    ASSERT_TRUE(disk_->make_directory("streams"));
    ASSERT_TRUE(disk_->make_directory(kStream));
    ASSERT_TRUE(disk_->sync_directory(""));
    ASSERT_TRUE(disk_->sync_directory("streams"));
    log_ = std::make_shared<fake::Log>();
    log_->append(100);
    restart();
  }
  void restart() {
    jobs_.clear();
    tasks_.clear();
    board_ = std::make_unique<StatusBoard>(clock_);
    auto cursors = std::make_shared<stream::CursorFiles>(*disk_, kStream);
    cursors->open();
    cursors_ = cursors;
    scheduler_ = std::make_unique<Scheduler>(
        Options(),
        Scheduler::Environment{clock_,
                               [](const ExportSpec&) -> Result<std::unique_ptr<Destination>> {
                                 return std::make_unique<fake::ScriptedDestination>(
                                     [](const Batch&, const std::stop_token&) {
                                       return Outcome::delivered();
                                     });
                               },
                               *this, filter_, *board_, reporter_, 1});
  }
  void define(const std::vector<model::ExportConfig>& configs) {
    std::vector<Engine::Wanted> wanted;
    for (const auto& each : configs) wanted.push_back({each, true});
    board_->set(StreamId(1), "pumps", log_, wanted);
    scheduler_->set_exports(StreamId(1), "pumps", log_, cursors_, wanted, log_->oldest(),
                            log_->durable_end());
  }
  static model::ExportConfig from(std::int64_t start) {
    auto one = config("cloud");
    one.start_sequence_number = start;
    return one;
  }
  // Asks as the update of a client does; `answers_` fills when it would be answered.
  void ask() {
    scheduler_->when_settled(StreamId(1),
                             [this](const Result<void>& outcome) { answers_.push_back(outcome); });
  }
  bool do_task() {
    if (tasks_.empty()) return false;
    const CursorTask task = std::move(tasks_.front());
    tasks_.pop_front();
    switch (task.kind) {
      case CursorTask::Kind::kLoad:
        scheduler_->loaded(task.stream, task.store->load());
        break;
      case CursorTask::Kind::kSave:
        scheduler_->saved(task.serial, task.revision, task.store->save(task.cursor));
        break;
      case CursorTask::Kind::kRemove:
        scheduler_->removed(task.stream, task.store->remove(task.cursor.identifier));
        break;
    }
    return true;
  }
  // Runs until all is delivered and saved.
  void work() {
    for (int i = 0; i < 1'000; ++i) {
      scheduler_->run_once();
      if (do_task()) continue;
      if (jobs_.empty()) {
        if (idle()) return;
        clock_.advance(std::chrono::seconds(1));
        continue;
      }
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      scheduler_->delivered(job.id, run_job(job));
    }
    ADD_FAILURE() << "it never ends";
  }
  bool idle() { return scheduler_->run_once() == Instant::max(); }
  // What the next start of weir would deliver first after a power cut now.
  std::int64_t first_after_power_cut(const std::vector<model::ExportConfig>& defined,
                                     std::uint64_t seed) {
    disk_->crash(seed);
    restart();
    define(defined);
    while (do_task()) {
    }
    scheduler_->run_once();
    return jobs_.empty() ? 100 : jobs_.front().grant.from.value();
  }

  ManualClock clock_;
  metrics::Registry metrics_;
  MoveFilter filter_;
  Reporter reporter_{metrics_};
  std::unique_ptr<StatusBoard> board_;
  std::unique_ptr<FaultyFileSystem> disk_;
  std::shared_ptr<fake::Log> log_;
  std::shared_ptr<stream::CursorStore> cursors_;
  std::deque<Job> jobs_;
  std::deque<CursorTask> tasks_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<Result<void>> answers_;
};

TEST_F(Positions, AMovedStartIsAnsweredWhenItIsOnTheDiskAndNotBefore) {
  start(1);
  define({from(0)});
  work();
  define({from(40)});
  ask();
  EXPECT_TRUE(answers_.empty());
  scheduler_->run_once();
  EXPECT_TRUE(answers_.empty()) << "the save is under way";
  ASSERT_TRUE(do_task());
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0]);
}

// There and back again: the definition ends as it was, so only the position tells of the move.
TEST_F(Positions, AnAnsweredMoveSurvivesThePowerCutThatFollows) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    start(seed);
    answers_.clear();
    define({from(5)});
    work();
    define({from(40)});
    define({from(5)});
    ask();
    for (int i = 0; i < 10 && answers_.empty(); ++i) {
      scheduler_->run_once();
      do_task();
    }
    ASSERT_EQ(answers_.size(), 1U);
    EXPECT_EQ(first_after_power_cut({from(5)}, seed), 5) << "a gap of what was asked for again";
  }
}

// A removed export that is defined again is a new one; its old position must not come back.
TEST_F(Positions, AnAnsweredRemovalSurvivesThePowerCutThatFollows) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    start(seed);
    answers_.clear();
    define({from(0)});
    work();
    define({});
    ask();
    EXPECT_TRUE(answers_.empty());
    ASSERT_TRUE(do_task());
    ASSERT_EQ(answers_.size(), 1U);
    EXPECT_TRUE(answers_[0]);
    EXPECT_EQ(first_after_power_cut({from(0)}, seed), 0);
  }
}

TEST_F(Positions, ADiskThatRefusesTheMoveIsToldAndTheMoveIsTriedAgain) {
  start(1);
  define({from(0)});
  work();
  disk_->fail_call(Call::kWrite, 1, EIO);
  define({from(40)});
  ask();
  scheduler_->run_once();
  ASSERT_TRUE(do_task());
  ASSERT_EQ(answers_.size(), 1U);
  ASSERT_FALSE(answers_[0]);
  EXPECT_EQ(answers_[0].error().code, Errc::kIo);
  EXPECT_THAT(answers_[0].error().what, AllOf(HasSubstr("the definition is stored, but"),
                                              HasSubstr("position of export 'cloud'")));
  ask();
  EXPECT_EQ(answers_.size(), 1U) << "it is still not stored";
  clock_.advance(std::chrono::seconds(1));
  scheduler_->run_once();
  ASSERT_TRUE(do_task());
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_TRUE(answers_[1]);
}

TEST_F(Positions, ADiskThatRefusesTheRemovalIsTold) {
  start(1);
  define({from(0)});
  work();
  disk_->fail_call(Call::kRemoveFile, 1, EIO);
  define({});
  ask();
  ASSERT_TRUE(do_task());
  ASSERT_EQ(answers_.size(), 1U);
  ASSERT_FALSE(answers_[0]);
  EXPECT_THAT(answers_[0].error().what,
              AllOf(HasSubstr("the definition is stored, but"), HasSubstr("removed export")));
}

TEST_F(Positions, AChangeWithoutAMoveWaitsForNothing) {
  start(1);
  ask();
  EXPECT_EQ(answers_.size(), 1U) << "a stream without exports";
  define({from(0)});
  work();
  auto faster = from(0);
  faster.priority = 1;
  define({faster});
  ask();
  EXPECT_EQ(answers_.size(), 2U);
  define({from(1'000)});
  ask();
  EXPECT_EQ(answers_.size(), 3U) << "a start beyond the end is kept by the definition";
}

TEST_F(Positions, AnUpdateRightAfterTheStartWaitsUntilThePositionsWereRead) {
  start(1);
  define({from(0)});
  define({});
  ask();
  EXPECT_TRUE(answers_.empty());
  while (do_task()) {
  }
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0]);
}

TEST_F(Positions, NobodyWaitsForAStreamThatIsDeletedOrAWeirThatStops) {
  start(1);
  define({from(0)});
  work();
  define({from(40)});
  ask();
  scheduler_->remove_stream(StreamId(1));
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_TRUE(answers_[0]);
  restart();
  define({from(0)});
  ask();
  scheduler_->give_up_settling();
  ASSERT_EQ(answers_.size(), 2U);
  ASSERT_FALSE(answers_[1]);
  EXPECT_EQ(answers_[1].error().code, Errc::kCancelled);
}

}  // namespace
}  // namespace weir::exporter
