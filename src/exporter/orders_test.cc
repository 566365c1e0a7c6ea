// What people ask of exports: pause, resume, move, retry now.

#include "base/log.h"
#include "exporter/exporter_bench.h"
#include "exporter/reporter.h"
#include "exporter/scheduler.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

namespace weir::exporter {
namespace {

using bench::Bench;
using bench::mixed;
using fake::config;
using fake::seq;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
using Kind = Order::Kind;
using Place = Order::Place;

TEST(PausedExport, GrantsNothingUntilItIsResumed) {
  Bench bench;
  bench.log(0, 5);
  bench.exporter.pause(bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kStopped);
  EXPECT_EQ(bench.exporter.deadline(), Instant::max());
  bench.log(0, 9);
  bench.pass(std::chrono::hours(24));
  EXPECT_EQ(bench.exporter.state(), State::kStopped);
  bench.exporter.resume(bench.now);
  EXPECT_EQ(bench.take().from, seq(0));
}

TEST(PausedExport, TheDeliveryUnderWayStillCounts) {
  Bench bench;
  bench.log(0, 5);
  bench.take();
  bench.exporter.pause(bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kInFlight);
  bench.finish(bench.answer(Outcome::delivered(), 3));
  EXPECT_EQ(bench.exporter.state(), State::kStopped);
  EXPECT_EQ(bench.exporter.next(), seq(3));
}

TEST(PausedExport, StaysPausedOverARestartAndAChangeOfItsDefinition) {
  Bench before;
  before.exporter.pause(before.now);
  Bench after(config("cloud"), before.exporter.cursor());
  after.log(0, 5);
  EXPECT_EQ(after.exporter.state(), State::kStopped);
  auto changed = config("cloud");
  changed.batch_size = 7;
  after.exporter.redefine(changed, after.now);
  EXPECT_EQ(after.exporter.state(), State::kStopped);
  EXPECT_TRUE(after.exporter.cursor().paused);
}

TEST(PausedExport, ResumingForgivesEarlierFailures) {
  Bench bench;
  bench.log(0, 5);
  for (int i = 0; i < 4; ++i) {
    bench.deliver(Outcome::retry(FailureClass::kOperator, "no such stream"), 5);
    bench.pass(std::chrono::hours(1));
  }
  bench.deliver(Outcome::retry(FailureClass::kOperator, "no such stream"), 5);
  bench.exporter.pause(bench.now);
  bench.exporter.resume(bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kReady);
  EXPECT_EQ(bench.exporter.consecutive_failures(), 0);
}

TEST(MovedExport, WhatWasUnderWayDoesNotMoveItAgain) {
  Bench bench;
  bench.log(0, 20);
  bench.deliver(Outcome::delivered(), 10);
  bench.take();
  bench.exporter.move_to(seq(4), bench.now);
  EXPECT_EQ(bench.finish(bench.answer(Outcome::delivered(), 10)).result,
            Exporter::Result::kSuperseded);
  EXPECT_EQ(bench.exporter.next(), seq(4));
  EXPECT_EQ(bench.take().from, seq(4));
}

TEST(MovedExport, WhatWasToBeSentAgainIsForgotten) {
  Bench bench;
  bench.log(0, 5);
  bench.deliver(mixed({weir::exporter::bench::kAgain, weir::exporter::bench::kYes,
                       weir::exporter::bench::kAgain, weir::exporter::bench::kYes,
                       weir::exporter::bench::kYes}),
                5);
  ASSERT_TRUE(bench.exporter.resending());
  bench.exporter.move_to(seq(2), bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kReady) << "it does not wait either";
  const Grant grant = bench.take();
  EXPECT_TRUE(grant.only.empty());
  EXPECT_EQ(grant.from, seq(2));
}

TEST(MovedExport, WhatItWillNotSendCountsAsLostAndWhatItHadSentDoesNot) {
  Bench bench;
  bench.log(0, 20);
  bench.deliver(mixed({bench::kYes, bench::kAgain, bench::kYes, bench::kYes, bench::kAgain}), 5);
  EXPECT_EQ(bench.exporter.move_to(seq(8), bench.now), 5) << "1, 4 and 5 to 7";
  EXPECT_EQ(bench.exporter.lost_messages(), 5);
  EXPECT_EQ(bench.exporter.move_to(seq(0), bench.now), 0) << "back";
  EXPECT_EQ(bench.exporter.lost_messages(), 5);
  bench.log(10, 20);
  EXPECT_EQ(bench.exporter.lost_messages(), 15) << "and retention's with them";
}

TEST(MovedExport, WhatStoodInItsWayIsNoLongerItsError) {
  Bench bench;
  bench.log(0, 1);
  bench.deliver(Outcome::retry(FailureClass::kOperator, "message 0 blocks the export"), 1);
  ASSERT_FALSE(bench.exporter.status().error_message.empty());
  bench.exporter.move_to(seq(1), bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kIdle);
  EXPECT_EQ(bench.exporter.status().error_message, "");
  EXPECT_EQ(bench.exporter.last_failure(), FailureClass::kNone);
}

TEST(SetAside, CountsApartFromWhatWasDropped) {
  Bench bench;
  bench.log(0, 3);
  Outcome outcome = mixed(
      {weir::exporter::bench::kNever, weir::exporter::bench::kYes, weir::exporter::bench::kNever});
  outcome.records[2].set_aside = true;
  const auto settled = bench.deliver(outcome, 3);
  EXPECT_EQ(settled.rejected_messages, 2);
  EXPECT_EQ(settled.set_aside_messages, 1);
  EXPECT_EQ(bench.exporter.skipped_messages(), 1);
  EXPECT_EQ(bench.exporter.set_aside_messages(), 1);
  EXPECT_EQ(bench.exporter.next(), seq(3));
}

// A scheduler whose saver and workers are the test.
class Orders : public ::testing::Test, public Hands {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    log_->append(20);
    start();
  }
  void TearDown() override { log::capture(nullptr); }
  void deliver(Job job) override { jobs_.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks_.push_back(std::move(task)); }

  void start() {
    jobs_.clear();
    tasks_.clear();
    board_ = std::make_unique<StatusBoard>(clock_);
    scheduler_ = std::make_unique<Scheduler>(
        Options(),
        Scheduler::Environment{clock_,
                               [this](const ExportSpec&) -> Result<std::unique_ptr<Destination>> {
                                 if (!broken_.empty()) return fail(Errc::kInvalidArgument, broken_);
                                 auto made = std::make_unique<fake::ScriptedDestination>(
                                     [this](const Batch& batch, const std::stop_token&) {
                                       for (const auto& message : batch.messages()) {
                                         sent_.push_back(message.sequence.value());
                                       }
                                       return answer_;
                                     });
                                 made->keeps_notes = keeps_notes_;
                                 made->on_moved = [this] { ++moves_told_; };
                                 made->on_forgive_refusals = [this] { ++pardons_told_; };
                                 return made;
                               },
                               *this, filter_, *board_, reporter_, 1});
    board_->set(StreamId(1), "pumps", log_, {{config("cloud"), true}}, cursors_->load());
    scheduler_->set_exports(StreamId(1), "pumps", log_, cursors_, {{config("cloud"), true}},
                            log_->oldest(), log_->durable_end());
    save();
  }
  void save() {
    while (!tasks_.empty()) {
      const CursorTask task = std::move(tasks_.front());
      tasks_.pop_front();
      if (task.kind == CursorTask::Kind::kLoad) {
        scheduler_->loaded(task.stream, task.store->load());
      } else {
        scheduler_->saved(task.serial, task.revision, carry_out(task));
      }
    }
  }
  void run_jobs() {
    scheduler_->run_once();
    while (!jobs_.empty()) {
      const Job job = std::move(jobs_.front());
      jobs_.pop_front();
      scheduler_->delivered(job.id, run_job(job));
      scheduler_->run_once();
    }
  }
  void order(Kind kind, std::int64_t to = 0, bool confirmed = false,
             const std::string& identifier = "cloud", Place place = Place::kNumber) {
    answered_.reset();
    scheduler_->give_order(StreamId(1), identifier, {kind, seq(to), confirmed, place},
                           [this](const Result<std::string>& words) { answered_ = words; });
  }
  // Carries an order out completely; its words or its error.
  std::string say(Kind kind, std::int64_t to = 0, bool confirmed = false) {
    order(kind, to, confirmed);
    return words();
  }
  std::string move_to(Place place, std::int64_t to = 0, bool confirmed = true) {
    order(Kind::kMove, to, confirmed, "cloud", place);
    return words();
  }
  std::string words() {
    scheduler_->run_once();
    save();
    if (!answered_) return "(no answer)";
    code_ = *answered_ ? std::nullopt : std::optional(answered_->error().code);
    return *answered_ ? **answered_ : answered_->error().what;
  }
  ExportView view() { return board_->views().at(0); }

  ManualClock clock_;
  metrics::Registry metrics_;
  MoveFilter filter_;
  Reporter reporter_{metrics_};
  std::unique_ptr<StatusBoard> board_;
  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>();
  std::shared_ptr<fake::Cursors> cursors_ = std::make_shared<fake::Cursors>();
  std::deque<Job> jobs_;
  std::deque<CursorTask> tasks_;
  std::unique_ptr<Scheduler> scheduler_;
  std::string broken_;
  Outcome answer_ = Outcome::delivered();
  std::vector<std::int64_t> sent_;
  bool keeps_notes_ = false;
  int moves_told_ = 0;
  int pardons_told_ = 0;
  std::optional<Result<std::string>> answered_;
  std::optional<Errc> code_;
};

TEST_F(Orders, APauseIsAnsweredWhenItIsStoredAndNotBefore) {
  order(Kind::kPause);
  scheduler_->run_once();
  EXPECT_FALSE(answered_);
  cursors_->fail_saves(true);
  save();
  ASSERT_TRUE(answered_);
  EXPECT_THAT(answered_->error().what, AllOf(HasSubstr("done, but not everything is stored yet"),
                                             HasSubstr("'cloud'"), HasSubstr("the disk is gone")));
  EXPECT_THAT(answered_->error().what, Not(HasSubstr("definition"))) << "nobody changed one";
  cursors_->fail_saves(false);
  clock_.advance(2s);
  scheduler_->run_once();
  save();
  EXPECT_TRUE(cursors_->find("cloud")->paused);
}

TEST_F(Orders, APauseHoldsOverARestartAndEndsWhenSomebodyResumes) {
  EXPECT_THAT(say(Kind::kPause), HasSubstr("paused; it goes on with message 0"));
  EXPECT_THAT(say(Kind::kPause), HasSubstr("already"));
  start();
  run_jobs();
  EXPECT_TRUE(sent_.empty());
  EXPECT_TRUE(view().paused);
  EXPECT_EQ(view().state, State::kStopped);
  EXPECT_THAT(view().reason, HasSubstr("paused"));
  EXPECT_THAT(say(Kind::kResume), HasSubstr("resumed at message 0"));
  run_jobs();
  EXPECT_EQ(sent_.size(), 20U);
  EXPECT_THAT(say(Kind::kResume), HasSubstr("not paused"));
}

TEST_F(Orders, GoingBackSendsAgainOnlyWhenConfirmed) {
  run_jobs();
  save();
  sent_.clear();
  EXPECT_THAT(say(Kind::kMove, 17), HasSubstr("again"));
  EXPECT_EQ(code_, Errc::kConflict);
  run_jobs();
  EXPECT_TRUE(sent_.empty());
  EXPECT_THAT(say(Kind::kMove, 17, true), HasSubstr("goes on at message 17; it stood at 20"));
  EXPECT_EQ(cursors_->find("cloud")->next, seq(17)) << "stored before it was answered";
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre(17, 18, 19));
}

TEST_F(Orders, AMovedExportDoesNotTrustWhatItNotedBefore) {
  run_jobs();
  save();
  ASSERT_TRUE(cursors_->save_note("cloud", "all before 20 is done"));
  say(Kind::kMove, 17, true);
  EXPECT_EQ(cursors_->note("cloud"), "!all before 20 is done") << "as durable as the position";
  say(Kind::kMove, 5, true);
  EXPECT_EQ(cursors_->note("cloud"), "!all before 20 is done") << "marked once";
  ASSERT_TRUE(cursors_->save_note("cloud", "all before 7 is done"));
  clock_.advance(2s);
  run_jobs();
  save();
  EXPECT_EQ(cursors_->note("cloud"), "all before 7 is done") << "it goes on by itself";
}

TEST_F(Orders, NothingIsSentAfterAMoveBeforeItIsStored) {
  keeps_notes_ = true;
  start();
  run_jobs();
  save();
  sent_.clear();
  order(Kind::kMove, 17, true);
  run_jobs();
  EXPECT_TRUE(sent_.empty());
  cursors_->fail_saves(true);
  save();
  run_jobs();
  EXPECT_TRUE(sent_.empty());
  cursors_->fail_saves(false);
  clock_.advance(2s);
  scheduler_->run_once();
  save();
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre(17, 18, 19));
  EXPECT_EQ(moves_told_, 1) << "before anything is delivered from there";
}

TEST_F(Orders, WhoKeepsNoNotesGoesOnWhileAMoveCannotBeStored) {
  run_jobs();
  save();
  sent_.clear();
  cursors_->fail_saves(true);
  order(Kind::kMove, 17, true);
  save();
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre(17, 18, 19));
}

TEST_F(Orders, AMoveIsStoredWhenTheDeliveryUnderWayHasEnded) {
  keeps_notes_ = true;
  start();
  scheduler_->run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  order(Kind::kMove, 5, true);
  EXPECT_TRUE(jobs_.front().stop.stop_requested());
  scheduler_->run_once();
  save();
  EXPECT_FALSE(answered_) << "what it notes now is of the old position";
  const Job job = jobs_.front();
  jobs_.clear();
  scheduler_->delivered(job.id, run_job(job));
  ASSERT_TRUE(cursors_->save_note("cloud", "all before 20 is done"));
  scheduler_->run_once();
  EXPECT_TRUE(jobs_.empty());
  save();
  ASSERT_TRUE(answered_);
  EXPECT_EQ(cursors_->find("cloud")->next, seq(5));
  EXPECT_EQ(cursors_->note("cloud"), "!all before 20 is done");
}

TEST_F(Orders, AMoveIsStoredAtAStopAlsoBesideADeliveryThatHangs) {
  scheduler_->run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  order(Kind::kMove, 5, true);
  scheduler_->stop_granting();
  scheduler_->save_all();
  save();
  EXPECT_EQ(cursors_->find("cloud")->next, seq(5));
}

TEST_F(Orders, AStartThatTheDefinitionMovesIsAMoveToo) {
  keeps_notes_ = true;
  start();
  run_jobs();
  save();
  ASSERT_TRUE(cursors_->save_note("cloud", "all before 20 is done"));
  auto moved = config("cloud");
  moved.start_sequence_number = 12;
  sent_.clear();
  scheduler_->set_exports(StreamId(1), "pumps", log_, cursors_, {{moved, true}}, log_->oldest(),
                          log_->durable_end());
  run_jobs();
  EXPECT_TRUE(sent_.empty()) << "not before it is stored";
  save();
  EXPECT_EQ(cursors_->note("cloud"), "!all before 20 is done");
  run_jobs();
  EXPECT_EQ(sent_.front(), 12);
  EXPECT_EQ(moves_told_, 1);
}

TEST_F(Orders, WhoseMessageIsRefusedBeginsAnewWithItWhenSomebodySaysSo) {
  answer_ = Outcome::retry(FailureClass::kOperator, "message 0 blocks the export");
  run_jobs();
  ASSERT_EQ(view().state, State::kBackoff);
  EXPECT_THAT(say(Kind::kMove, 0), HasSubstr("begin anew with message 0"));
  EXPECT_EQ(code_, Errc::kConflict);
  EXPECT_THAT(say(Kind::kMove, 0, true), HasSubstr("goes on at message 0"));
  answer_ = Outcome::delivered();
  run_jobs();
  EXPECT_EQ(moves_told_, 1);
  EXPECT_THAT(say(Kind::kMove, 20, true), HasSubstr("already"));
}

TEST_F(Orders, GoingForwardLeavesOutOnlyWhenConfirmedAndIsCounted) {
  say(Kind::kPause);
  EXPECT_THAT(say(Kind::kMove, 18), HasSubstr("never send the 18 messages from 0 to 17"));
  EXPECT_EQ(code_, Errc::kConflict);
  EXPECT_THAT(say(Kind::kMove, 18, true), HasSubstr("it is paused"));
  say(Kind::kResume);
  run_jobs();
  EXPECT_THAT(sent_, ElementsAre(18, 19));
  EXPECT_THAT(metrics_.text(), HasSubstr("{type=\"kinesis\",reason=\"moved\"} 18"));
}

TEST_F(Orders, OnlyPlacesOfTheStreamAreTaken) {
  say(Kind::kPause);
  log_->remove_below(5);
  for (const std::int64_t to : {-1, 4, 21}) {
    EXPECT_THAT(say(Kind::kMove, to, true), HasSubstr("holds 5 to 19, and 20 is the end"));
    EXPECT_EQ(code_, Errc::kInvalidArgument);
  }
  EXPECT_THAT(say(Kind::kMove, 5, true), HasSubstr("already"));
  EXPECT_THAT(say(Kind::kMove, 20, true), HasSubstr("goes on at message 20"));
}

TEST_F(Orders, TheEndIsThatOfWhatIsStoredEvenWhileProgramsAppend) {
  say(Kind::kPause);
  log_->hold_durable();
  log_->append(10);
  EXPECT_THAT(move_to(Place::kBeforeEnd, 0, false), HasSubstr("the 20 messages from 0 to 19"));
  EXPECT_THAT(move_to(Place::kBeforeEnd), HasSubstr("goes on at message 20; it stood at 0"));
  EXPECT_THAT(move_to(Place::kBeforeEnd, 3), HasSubstr("at message 20 already"))
      << "the last three are not stored yet, and will be sent";
  EXPECT_THAT(move_to(Place::kNumberOrEnd, 27), HasSubstr("at message 20 already"));
  EXPECT_THAT(move_to(Place::kBeforeEnd, 12), HasSubstr("goes on at message 18"));
  EXPECT_THAT(move_to(Place::kBeforeEnd, 1000), HasSubstr("goes on at message 0"));
  EXPECT_THAT(move_to(Place::kNumberOrEnd, 31), HasSubstr("holds 0 to 29, and 30 is the end"));
  log_->sync();
  EXPECT_THAT(move_to(Place::kBeforeEnd, 3), HasSubstr("goes on at message 27; it stood at 0"));
  log_->remove_below(5);
  EXPECT_THAT(move_to(Place::kStart), HasSubstr("goes on at message 5; it stood at 27"));
}

TEST_F(Orders, AMessageThatIsNotStoredYetIsNotCalledMissing) {
  log_->hold_durable();
  log_->append(10);
  for (const std::int64_t to : {21, 30}) {
    EXPECT_THAT(say(Kind::kMove, to, true),
                AllOf(HasSubstr("no place to go on at yet"), HasSubstr("before message 20"),
                      HasSubstr("stable storage"), Not(HasSubstr("empty"))));
    EXPECT_EQ(code_, Errc::kInvalidArgument);
  }
  EXPECT_THAT(say(Kind::kMove, 31, true), HasSubstr("holds 0 to 29, and 30 is the end"));
}

TEST_F(Orders, RetryNowEndsAWaitHoweverLong) {
  answer_ = Outcome::retry(FailureClass::kOperator, "no such stream");
  for (int i = 0; i < 5; ++i) {
    run_jobs();
    clock_.advance(std::chrono::hours(1));
  }
  run_jobs();
  ASSERT_EQ(view().state, State::kBackoff);
  answer_ = Outcome::delivered();
  sent_.clear();
  EXPECT_EQ(say(Kind::kRetryNow), "it tries now");
  run_jobs();
  EXPECT_EQ(sent_.size(), 20U);
  EXPECT_EQ(pardons_told_, 1) << "what it refused is tried as well";
  EXPECT_THAT(say(Kind::kRetryNow), HasSubstr("it is idle"));
}

TEST_F(Orders, RetryNowWhileATryIsUnderWayIsFollowedByOneMore) {
  answer_ = Outcome::retry(FailureClass::kOperator, "no");
  scheduler_->run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  EXPECT_EQ(say(Kind::kRetryNow), "it tries now");
  const Job under_way = std::move(jobs_.front());
  jobs_.pop_front();
  scheduler_->delivered(under_way.id, run_job(under_way));
  EXPECT_EQ(pardons_told_, 0) << "it had begun before";
  scheduler_->run_once();
  EXPECT_EQ(jobs_.size(), 1U) << "without a wait";
  run_jobs();
  EXPECT_EQ(pardons_told_, 1);
  EXPECT_EQ(view().state, State::kBackoff) << "and then as ever";
}

TEST_F(Orders, RetryNowMakesABrokenDestinationAgain) {
  broken_ = "no region";
  start();
  EXPECT_THAT(say(Kind::kRetryNow), HasSubstr("still cannot run: no region"));
  broken_.clear();
  EXPECT_EQ(say(Kind::kRetryNow), "it tries now");
  run_jobs();
  EXPECT_EQ(sent_.size(), 20U);
}

TEST_F(Orders, APausedExportIsNotRetried) {
  say(Kind::kPause);
  EXPECT_THAT(say(Kind::kRetryNow), HasSubstr("resume it instead"));
  EXPECT_EQ(code_, Errc::kUnavailable);
}

TEST_F(Orders, WhatDoesNotExistIsNamed) {
  order(Kind::kPause, 0, false, "other");
  ASSERT_TRUE(answered_);
  EXPECT_EQ(answered_->error().code, Errc::kNotFound);
  EXPECT_THAT(answered_->error().what, HasSubstr("it has cloud"));
  scheduler_->remove_stream(StreamId(1));
  order(Kind::kPause);
  EXPECT_EQ(answered_->error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace weir::exporter
