#include "exporter/scheduler.h"

#include "base/log.h"
#include "exporter/fakes.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;
using fake::config;
using fake::seq;
using ::testing::ElementsAre;

// Keeps what the scheduler hands out until the test does it.
class Waiting final : public Hands {
 public:
  void deliver(Job job) override { jobs.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks.push_back(std::move(task)); }
  std::deque<Job> jobs;
  std::deque<CursorTask> tasks;
};

constexpr const char* kHostWithoutKeys = "no.keys";

class SchedulerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
  }
  void TearDown() override { log::capture(nullptr); }

  Scheduler& scheduler() {
    if (!scheduler_) {
      scheduler_ = std::make_unique<Scheduler>(
          options_,
          Scheduler::Environment{
              clock_,
              [this](const ExportSpec& spec) -> Result<std::unique_ptr<Destination>> {
                ++made_;
                const std::string host = spec.config.target;
                auto made = std::make_unique<fake::ScriptedDestination>(
                    [](const Batch&, const std::stop_token&) { return Outcome::delivered(); },
                    limits_, host);
                made->has_keys = host != kHostWithoutKeys;
                return made;
              },
              hands_, filter_, board_, reporter_, 1});
    }
    return *scheduler_;
  }
  void define(std::uint64_t id, const std::vector<model::ExportConfig>& configs) {
    auto& log = logs_[id];
    if (!log) log = std::make_shared<fake::Log>();
    auto& cursors = cursors_[id];
    if (!cursors) cursors = std::make_shared<fake::Cursors>();
    std::vector<Engine::Wanted> wanted;
    wanted.reserve(configs.size());
    for (const auto& each : configs) wanted.push_back({each, true});
    const std::string name = "stream" + std::to_string(id);
    board_.set(StreamId(id), name, log, wanted);
    scheduler().set_exports(StreamId(id), name, log, cursors, wanted, log->oldest(),
                            log->durable_end());
    do_tasks();
  }
  // Does what was asked of the saver, and counts the saves.
  void do_tasks() {
    while (!hands_.tasks.empty()) {
      const CursorTask task = std::move(hands_.tasks.front());
      hands_.tasks.pop_front();
      switch (task.kind) {
        case CursorTask::Kind::kLoad:
          scheduler().loaded(task.stream, task.store->load());
          break;
        case CursorTask::Kind::kSave:
          saved_at_.push_back(clock_.now());
          scheduler().saved(task.serial, task.revision, task.store->save(task.cursor));
          break;
        case CursorTask::Kind::kRemove:
          scheduler().removed(task.stream, task.store->remove(task.cursor.identifier));
          break;
      }
    }
  }
  void append(std::uint64_t id, std::int64_t count) {
    logs_[id]->append(count);
    if (filter_.moved(StreamId(id), clock_.now())) scheduler().run_once();
  }
  // The first delivery under way ends as its destination says.
  void finish_first() {
    const Job job = std::move(hands_.jobs.front());
    hands_.jobs.pop_front();
    scheduler().delivered(job.id, run_job(job));
    scheduler().run_once();
  }
  void fail_first(bool connection_failed) {
    Outcome outcome = Outcome::retry(FailureClass::kTransient, "refused");
    outcome.connection_failed = connection_failed;
    fail_first(outcome);
  }
  void fail_first(const Outcome& outcome) {
    const Job job = std::move(hands_.jobs.front());
    hands_.jobs.pop_front();
    Delivery delivery;
    delivery.generation = job.grant.generation;
    delivery.sent.push_back({job.grant.from, 1});
    delivery.next = job.grant.from + 1;
    delivery.outcome = outcome;
    scheduler().delivered(job.id, delivery);
    scheduler().run_once();
  }
  // Who delivers, in order, when each delivery ends before the next is granted.
  std::vector<std::string> order(std::size_t count) {
    std::vector<std::string> names;
    while (names.size() < count && !hands_.jobs.empty()) {
      names.push_back(hands_.jobs.front().identifier);
      finish_first();
    }
    return names;
  }
  static model::ExportConfig with_priority(const std::string& name,
                                           std::optional<std::int64_t> priority,
                                           std::int64_t batch_size = 1) {
    auto definition = config(name);
    definition.priority = priority;
    definition.batch_size = batch_size;
    return definition;
  }

  Options options_;
  Destination::Limits limits_;
  int made_ = 0;
  ManualClock clock_;
  metrics::Registry metrics_;
  Waiting hands_;
  MoveFilter filter_;
  StatusBoard board_{clock_};
  Reporter reporter_{metrics_};
  std::map<std::uint64_t, std::shared_ptr<fake::Log>> logs_;
  std::map<std::uint64_t, std::shared_ptr<fake::Cursors>> cursors_;
  std::vector<Instant> saved_at_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, PriorityIsStrictAndUnspecifiedComesLast) {
  options_.worker_count = 1;
  define(1, {with_priority("none", std::nullopt), with_priority("ten", 10), with_priority("one", 1),
             with_priority("five", 5)});
  append(1, 2);
  ASSERT_EQ(hands_.jobs.size(), 1U);
  EXPECT_THAT(order(8), ElementsAre("one", "one", "five", "five", "ten", "ten", "none", "none"));
}

TEST_F(SchedulerTest, TheBetterPriorityGoesFirstAsSoonAsAWorkerIsFree) {
  options_.worker_count = 1;
  define(1, {with_priority("low", 9)});
  define(2, {with_priority("high", 2)});
  append(1, 3);
  append(2, 1);
  EXPECT_THAT(order(4), ElementsAre("low", "high", "low", "low"));
}

TEST_F(SchedulerTest, WithinAPriorityEveryoneGetsATurn) {
  options_.worker_count = 1;
  define(1, {with_priority("a", 3), with_priority("b", 3), with_priority("c", 3)});
  append(1, 3);
  EXPECT_THAT(order(9), ElementsAre("a", "b", "c", "a", "b", "c", "a", "b", "c"));
}

TEST_F(SchedulerTest, AtMostAsManyDeliveriesAsWorkersAndOneForEachExport) {
  options_.worker_count = 3;
  std::vector<model::ExportConfig> many;
  many.reserve(10);
  for (int i = 0; i < 10; ++i) many.push_back(with_priority("e" + std::to_string(i), 1));
  define(1, many);
  append(1, 100);
  EXPECT_EQ(hands_.jobs.size(), 3U);
  finish_first();
  EXPECT_EQ(hands_.jobs.size(), 3U);
  std::set<std::string> names;
  for (const Job& job : hands_.jobs) EXPECT_TRUE(names.insert(job.identifier).second);
  const auto views = board_.views();
  EXPECT_EQ(views[5].state, State::kReady);
  EXPECT_EQ(views[5].reason, "waiting for a free worker");
  clock_.advance(7s);
  EXPECT_EQ(board_.views()[5].ready_age_ms, 7'000);
}

TEST_F(SchedulerTest, BatchesUnderWayFitTheirBudget) {
  options_.worker_count = 5;
  options_.batch_budget_bytes = 10'000;
  limits_.batch_bytes_max = 4'000;
  define(1, {with_priority("a", 1), with_priority("b", 1), with_priority("c", 1)});
  append(1, 1);
  EXPECT_EQ(hands_.jobs.size(), 2U) << "a third batch might not fit";
  finish_first();
  EXPECT_EQ(hands_.jobs.size(), 2U);
}

TEST_F(SchedulerTest, AMessageLargerThanTheBudgetGoesAlone) {
  options_.batch_budget_bytes = 10'000;
  limits_.batch_bytes_max = 4'000;
  logs_[1] = std::make_shared<fake::Log>("log", 50'000);
  define(1, {config("a")});
  define(2, {config("b")});
  append(1, 20);  // number 7 is the large one
  finish_first();
  EXPECT_EQ(board_.statuses(StreamId(1))[0].last_exported_sequence_number, 6);
  finish_first();  // finds that it needs more
  append(2, 1);
  ASSERT_EQ(hands_.jobs.size(), 1U);
  EXPECT_TRUE(hands_.jobs.front().may_exceed_reservation);
  finish_first();
  EXPECT_EQ(board_.statuses(StreamId(1))[0].last_exported_sequence_number, 7);
  EXPECT_EQ(hands_.jobs.size(), 2U) << "everyone goes on";
}

TEST_F(SchedulerTest, PositionsAreSavedBehindDeliveriesAtMostOnceASecond) {
  define(1, {with_priority("a", 1, 1)});
  append(1, 100);
  for (int i = 0; i < 100; ++i) {
    finish_first();
    do_tasks();
    const auto saved = cursors_[1]->find("a");
    ASSERT_TRUE(saved);
    ASSERT_LE(saved->next, seq(i + 1));
    ASSERT_GE(saved->next, seq(i + 1 - 11)) << "more than a second old";
    clock_.advance(100ms);
    scheduler().run_once();
    do_tasks();
  }
  for (std::size_t i = 1; i < saved_at_.size(); ++i) {
    ASSERT_GE(saved_at_[i] - saved_at_[i - 1], 1s);
  }
  clock_.advance(1s);
  scheduler().run_once();
  do_tasks();
  EXPECT_EQ(cursors_[1]->find("a")->next, seq(100));
  const std::size_t saves = saved_at_.size();
  clock_.advance(1h);
  EXPECT_EQ(scheduler().run_once(), Instant::max()) << "nothing to do, nothing to wait for";
  EXPECT_EQ(saved_at_.size(), saves);
}

TEST_F(SchedulerTest, ASaveThatFailsIsTriedAgainWithoutSpinning) {
  define(1, {config("a")});
  cursors_[1]->fail_saves(true);
  append(1, 1);
  finish_first();
  for (int i = 0; i < 50; ++i) {
    do_tasks();
    clock_.advance(100ms);
    scheduler().run_once();
  }
  EXPECT_LE(saved_at_.size(), 6U);
  EXPECT_GE(saved_at_.size(), 4U);
  cursors_[1]->fail_saves(false);
  clock_.advance(1s);
  scheduler().run_once();
  do_tasks();
  EXPECT_EQ(cursors_[1]->find("a")->next, seq(1));
}

TEST_F(SchedulerTest, ARepositionIsSavedAtOnce) {
  define(1, {config("a")});
  append(1, 50);
  finish_first();
  do_tasks();
  auto moved = config("a");
  moved.start_sequence_number = 10;
  define(1, {moved});
  scheduler().run_once();
  do_tasks();
  EXPECT_EQ(cursors_[1]->find("a")->next, seq(10));
  EXPECT_EQ(cursors_[1]->find("a")->start_sequence_number, 10);
}

TEST_F(SchedulerTest, ARemovedExportLosesItsPositionAndADeletedOneToo) {
  define(1, {config("a"), config("b")});
  append(1, 5);
  finish_first();
  finish_first();
  do_tasks();
  ASSERT_TRUE(cursors_[1]->find("b"));
  define(1, {config("a")});
  EXPECT_FALSE(cursors_[1]->find("b"));
  define(1, {config("a"), config("b")});
  EXPECT_EQ(board_.statuses(StreamId(1))[1].last_exported_sequence_number, -1);
}

TEST_F(SchedulerTest, AnotherTypeUnderTheSameNameIsAnotherExport) {
  define(1, {config("a", model::ExportType::kKinesis)});
  append(1, 5);
  finish_first();
  ASSERT_EQ(board_.statuses(StreamId(1))[0].last_exported_sequence_number, 4);
  define(1, {config("a", model::ExportType::kHttp)});
  EXPECT_EQ(board_.statuses(StreamId(1))[0].last_exported_sequence_number, -1);
  EXPECT_EQ(board_.statuses(StreamId(1))[0].exported_messages_count, 0);
}

TEST_F(SchedulerTest, PositionsOfExportsThatNobodyWantsAnyMoreAreCleanedUpAtStart) {
  cursors_[1] = std::make_shared<fake::Cursors>();
  stream::Cursor old;
  old.identifier = "gone";
  cursors_[1]->put(old);
  define(1, {config("a")});
  EXPECT_FALSE(cursors_[1]->find("gone"));
}

TEST_F(SchedulerTest, ARedefinedDestinationIsMadeAnewAndAnotherPriorityIsNot) {
  define(1, {config("a")});
  EXPECT_EQ(made_, 1);
  define(1, {with_priority("a", 4, 7)});
  EXPECT_EQ(made_, 1);
  auto moved = config("a");
  moved.target = "elsewhere";
  define(1, {moved});
  EXPECT_EQ(made_, 2);
  moved.disabled = true;
  define(1, {moved});
  EXPECT_EQ(made_, 2);
}

TEST_F(SchedulerTest, ARedefinitionInterruptsOnlyWhatItMakesObsolete) {
  define(1, {config("a")});
  append(1, 5);
  const std::stop_token first = hands_.jobs.front().stop;
  define(1, {with_priority("a", 2, 3)});
  EXPECT_FALSE(first.stop_requested());
  auto moved = config("a");
  moved.target = "elsewhere";
  define(1, {moved});
  EXPECT_TRUE(first.stop_requested());
}

TEST_F(SchedulerTest, ADeliveryThatEndsAfterItsStreamIsGoneChangesNothing) {
  options_.worker_count = 1;
  define(1, {config("a")});
  append(1, 5);
  ASSERT_EQ(hands_.jobs.size(), 1U);
  scheduler().remove_stream(StreamId(1));
  EXPECT_TRUE(hands_.jobs.front().stop.stop_requested());
  define(2, {config("b")});
  append(2, 1);
  EXPECT_EQ(hands_.jobs.size(), 1U) << "the worker is still busy";
  finish_first();
  ASSERT_EQ(hands_.jobs.size(), 1U);
  EXPECT_EQ(hands_.jobs.front().identifier, "b");
}

TEST_F(SchedulerTest, ASuccessWakesThoseThatWaitForTheSameHostOnly) {
  auto other = config("other");
  other.target = "other.host";
  define(1, {config("a"), config("b"), other});
  append(1, 1);
  ASSERT_EQ(hands_.jobs.size(), 3U);
  fail_first(true);  // a
  std::swap(hands_.jobs[0], hands_.jobs[1]);
  fail_first(true);  // other
  ASSERT_EQ(hands_.jobs.size(), 1U);
  finish_first();  // b
  ASSERT_EQ(hands_.jobs.size(), 1U);
  EXPECT_EQ(hands_.jobs.front().identifier, "a");
}

TEST_F(SchedulerTest, TheFirstWhoHasKeysAgainWakesAllThatHadNoneWhereverTheySend) {
  auto far = config("far");
  far.target = "other.host";
  // What counts is where a redirect leads, not what the program defined.
  auto plain = config("plain");
  plain.target = kHostWithoutKeys;
  auto works = config("works");
  works.type = model::ExportType::kHttp;
  define(1, {config("near"), far, plain, works});
  append(1, 1);
  ASSERT_EQ(hands_.jobs.size(), 4U);
  Outcome without_keys = Outcome::retry(FailureClass::kTransient, "no answer");
  without_keys.without_keys = true;
  fail_first(without_keys);  // near
  fail_first(without_keys);  // far
  finish_first();            // plain
  EXPECT_EQ(hands_.jobs.size(), 1U) << "what needs no keys tells nothing of them";
  finish_first();  // works
  EXPECT_THAT(order(2), ElementsAre("near", "far"));
}

TEST_F(SchedulerTest, AppendsToABusyExportWakeNobody) {
  define(1, {config("a")});
  append(1, 1);
  ASSERT_EQ(hands_.jobs.size(), 1U);
  for (int i = 0; i < 1000; ++i) {
    logs_[1]->append(1);
    EXPECT_FALSE(filter_.moved(StreamId(1), clock_.now()));
  }
  EXPECT_FALSE(filter_.moved(StreamId(99), clock_.now())) << "a stream without exports";
  finish_first();
  EXPECT_EQ(hands_.jobs.size(), 0U + 1U) << "what came meanwhile goes next";
}

TEST_F(SchedulerTest, AnExportThatCollectsIsWokenForAFullBatchAndOnceASecondOnly) {
  auto collecting = with_priority("a", 1, 100);
  collecting.batch_interval_ms = 60'000;
  define(1, {collecting});
  int woken = 0;
  for (int i = 0; i < 99; ++i) {
    logs_[1]->append(1);
    if (filter_.moved(StreamId(1), clock_.now())) {
      ++woken;
      scheduler().run_once();
    }
  }
  EXPECT_EQ(woken, 1) << "the first message starts the interval";
  EXPECT_EQ(board_.views()[0].reason, "waiting for 100 messages or 60 s");
  clock_.advance(1s);
  logs_[1]->append(1);
  EXPECT_TRUE(filter_.moved(StreamId(1), clock_.now())) << "the batch is full";
}

TEST_F(SchedulerTest, RetentionThatOvertakesAnExportWakesItToCount) {
  define(1, {config("a")});
  append(1, 10);
  fail_first(false);
  logs_[1]->remove_below(4);
  ASSERT_TRUE(filter_.moved(StreamId(1), clock_.now()));
  scheduler().run_once();
  EXPECT_EQ(board_.views()[0].lost_messages, 4);
  EXPECT_THAT(metrics_.text(),
              ::testing::HasSubstr(
                  "weir_exporter_lost_messages_total{type=\"kinesis\",reason=\"retention\"} 4"));
}

TEST_F(SchedulerTest, StoppingGrantsNothingAndSavesEverything) {
  define(1, {with_priority("a", 1, 1)});
  append(1, 10);
  finish_first();
  do_tasks();
  finish_first();
  scheduler().stop_granting();
  EXPECT_TRUE(hands_.jobs.front().stop.stop_requested());
  finish_first();
  EXPECT_EQ(scheduler().deliveries_under_way(), 0U);
  EXPECT_TRUE(hands_.jobs.empty());
  scheduler().save_all();
  do_tasks();
  EXPECT_EQ(scheduler().saves_under_way(), 0U);
  EXPECT_EQ(cursors_[1]->find("a")->next, seq(2));
}

TEST_F(SchedulerTest, TheBoardSaysInPlainWordsWhyAnExportWaits) {
  auto later = config("later");
  later.start_sequence_number = 100;
  define(1, {config("a"), later});
  EXPECT_EQ(board_.views()[0].reason, "");
  EXPECT_EQ(board_.views()[1].reason, "waiting for message 100, where it starts");
  append(1, 10);
  fail_first(true);
  const auto view = board_.views()[0];
  EXPECT_EQ(view.reason, "backing off: refused");
  EXPECT_EQ(view.consecutive_failures, 1);
  EXPECT_GT(view.next_try_in_ms, 0);
  EXPECT_EQ(view.waiting_messages, 10);
  EXPECT_THAT(metrics_.text(), ::testing::HasSubstr("weir_exporter_attempts_total{type=\"kinesis\","
                                                    "result=\"transient\"} 1"));
}

TEST(Options, AreCheckedByName) {
  EXPECT_TRUE(Options{}.validate());
  const auto refused = [](auto change) {
    Options options;
    change(options);
    const auto checked = options.validate();
    return checked ? std::string() : checked.error().what;
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(refused([](Options& o) { o.worker_count = 0; }), HasSubstr("worker_count"));
  EXPECT_THAT(refused([](Options& o) { o.backoff_first_ms = 0; }), HasSubstr("backoff_first_ms"));
  EXPECT_THAT(refused([](Options& o) { o.backoff_ceiling_ms = 1; }),
              HasSubstr("backoff_ceiling_ms"));
  EXPECT_THAT(refused([](Options& o) { o.operator_retry_min_ms = 400'000; }),
              HasSubstr("operator_retry_min_ms"));
  for (const std::int64_t wrong : {9, 1'001}) {
    EXPECT_THAT(refused([wrong](Options& o) { o.cursor_save_interval_ms = wrong; }),
                HasSubstr("cursor_save_interval_ms must be 10 to 1000"));
  }
  EXPECT_THAT(refused([](Options& o) { o.batch_budget_bytes = 5; }),
              HasSubstr("batch_budget_bytes"));
}

}  // namespace
}  // namespace weir::exporter
