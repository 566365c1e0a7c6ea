#include "base/log.h"
#include "exporter/fakes.h"
#include "exporter/scheduler.h"

#include <deque>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;
using fake::config;
using fake::seq;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What all destinations of a test did, in order: "a:3" delivered three messages, "a:idle" a visit.
struct Story {
  std::vector<std::string> lines;
};

// Wants to be visited a minute after its last delivery, once.
class Closing final : public Destination {
 public:
  Closing(std::string name, Clock& clock, Story& story)
      : name_(std::move(name)), clock_(clock), story_(story) {}
  [[nodiscard]] Limits limits() const override { return {}; }
  Outcome deliver(const Batch& batch, std::stop_token) override {
    story_.lines.push_back(name_ + ":" + std::to_string(batch.size()));
    deadline_ = clock_.now() + 60s;
    return Outcome::delivered();
  }
  [[nodiscard]] Instant idle_deadline() const override { return deadline_; }
  void on_idle(std::stop_token) override {
    if (name_ == "thrower") throw std::runtime_error("broken");
    story_.lines.push_back(name_ + ":idle");
    deadline_ = Instant::max();
  }
  [[nodiscard]] std::string host() const override { return {}; }

 private:
  const std::string name_;
  Clock& clock_;
  Story& story_;
  Instant deadline_ = Instant::max();
};

class IdleVisits : public ::testing::Test, public Hands {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
  }
  void TearDown() override { log::capture(nullptr); }
  void deliver(Job job) override { jobs_.push_back(std::move(job)); }
  void keep(CursorTask task) override { tasks_.push_back(std::move(task)); }

  Scheduler& scheduler() {
    if (!scheduler_) {
      scheduler_ = std::make_unique<Scheduler>(
          options_, Scheduler::Environment{
                        clock_,
                        [this](const ExportSpec& spec) -> Result<std::unique_ptr<Destination>> {
                          return std::make_unique<Closing>(spec.config.identifier, clock_, story_);
                        },
                        *this, filter_, board_, reporter_, 1});
    }
    return *scheduler_;
  }
  void define(const std::vector<model::ExportConfig>& configs) {
    std::vector<Engine::Wanted> wanted;
    for (const auto& each : configs) wanted.push_back({each, true});
    board_.set(StreamId(1), "stream", log_, wanted);
    scheduler().set_exports(StreamId(1), "stream", log_, cursors_, wanted, log_->oldest(),
                            log_->durable_end());
    while (!tasks_.empty()) {
      const CursorTask task = std::move(tasks_.front());
      tasks_.pop_front();
      if (task.kind == CursorTask::Kind::kLoad) {
        scheduler().loaded(task.stream, task.store->load());
      }
    }
    run_once();
  }
  void append(std::int64_t count) {
    log_->append(count);
    if (filter_.moved(StreamId(1), clock_.now())) run_once();
  }
  Instant run_once() {
    const Instant next = scheduler().run_once();
    EXPECT_GT(next, clock_.now()) << "it would spin";
    return next;
  }
  // The worker of the oldest job ends it.
  void end_first() {
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    scheduler().delivered(job.id, run_job(job));
    run_once();
  }
  void end_all() {
    while (!jobs_.empty()) end_first();
  }

  Options options_;
  ManualClock clock_;
  Story story_;
  metrics::Registry metrics_;
  MoveFilter filter_;
  StatusBoard board_{clock_};
  Reporter reporter_{metrics_};
  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>();
  std::shared_ptr<fake::Cursors> cursors_ = std::make_shared<fake::Cursors>();
  std::deque<Job> jobs_;
  std::deque<CursorTask> tasks_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(IdleVisits, ADestinationIsVisitedWhenItAskedForItAndNotBefore) {
  define({config("a")});
  append(3);
  end_all();
  EXPECT_LE(run_once(), clock_.now() + 60s) << "wakes by itself";
  clock_.advance(59s);
  run_once();
  EXPECT_THAT(jobs_, IsEmpty());
  clock_.advance(1s);
  run_once();
  end_all();
  EXPECT_THAT(story_.lines, ElementsAre("a:3", "a:idle"));
  clock_.advance(1h);
  run_once();
  EXPECT_THAT(jobs_, IsEmpty()) << "its deadline moved";
}

TEST_F(IdleVisits, ADeliveryPutsTheVisitOff) {
  define({config("a")});
  append(1);
  end_all();
  clock_.advance(50s);
  append(1);
  end_all();
  clock_.advance(50s);
  run_once();
  EXPECT_THAT(story_.lines, ElementsAre("a:1", "a:1"));
  clock_.advance(10s);
  run_once();
  end_all();
  EXPECT_THAT(story_.lines, ElementsAre("a:1", "a:1", "a:idle"));
}

TEST_F(IdleVisits, NothingIsDeliveredToADestinationWhileItIsVisited) {
  define({config("a")});
  append(1);
  end_all();
  clock_.advance(60s);
  run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  append(5);
  EXPECT_EQ(jobs_.size(), 1U) << "one call at a time";
  end_all();
  EXPECT_THAT(story_.lines, ElementsAre("a:1", "a:idle", "a:5"));
}

TEST_F(IdleVisits, TakeTurnsWithDeliveriesOneAtATime) {
  options_.worker_count = 2;
  auto busy = config("busy");
  busy.batch_size = 1;
  busy.priority = 1;
  auto closing = config("closing");
  closing.batch_size = 1'000;
  closing.batch_interval_ms = 60'000;
  auto other = closing;
  other.identifier = "other";
  define({busy, closing, other});
  append(1);
  end_all();
  clock_.advance(60s);
  run_once();  // the batches that waited for their interval
  end_all();
  story_.lines.clear();
  clock_.advance(60s);
  log_->append(6);
  if (filter_.moved(StreamId(1), clock_.now())) scheduler().run_once();
  std::size_t visits = 0;
  while (!jobs_.empty()) {
    visits = std::max(
        visits, static_cast<std::size_t>(std::count_if(
                    jobs_.begin(), jobs_.end(), [](const Job& job) { return job.idle_visit; })));
    end_first();
  }
  EXPECT_EQ(visits, 1U) << "never two at a time";
  EXPECT_EQ(std::count(story_.lines.begin(), story_.lines.end(), "busy:1"), 6);
  EXPECT_EQ(std::count(story_.lines.begin(), story_.lines.end(), "closing:idle"), 1);
  EXPECT_EQ(std::count(story_.lines.begin(), story_.lines.end(), "other:idle"), 1);
  EXPECT_EQ(story_.lines.back(), "busy:1") << "a backlog does not put the visits off";
}

TEST_F(IdleVisits, AVisitUnderWayIsInterruptedWithItsExportAndDoesNotHoldUpTheNextOne) {
  define({config("a")});
  append(1);
  end_all();
  clock_.advance(60s);
  run_once();
  ASSERT_EQ(jobs_.size(), 1U);
  define({});
  EXPECT_TRUE(jobs_.front().stop.stop_requested());
  end_all();
  define({config("b")});
  append(1);
  end_all();
  clock_.advance(60s);
  run_once();
  end_all();
  EXPECT_EQ(story_.lines.back(), "b:idle");
}

TEST_F(IdleVisits, NothingIsVisitedOnceStopping) {
  define({config("a")});
  append(1);
  end_all();
  clock_.advance(60s);
  scheduler().stop_granting();
  scheduler().run_once();
  EXPECT_THAT(jobs_, IsEmpty());
}

TEST_F(IdleVisits, ADestinationThatThrowsIsLeftAloneUntilItsNextDelivery) {
  define({config("thrower")});
  append(1);
  end_all();
  clock_.advance(60s);
  run_once();
  end_all();
  clock_.advance(1h);
  run_once();
  EXPECT_THAT(jobs_, IsEmpty());
  append(2);
  end_all();
  EXPECT_THAT(story_.lines, ElementsAre("thrower:1", "thrower:2"));
}

}  // namespace
}  // namespace weir::exporter
