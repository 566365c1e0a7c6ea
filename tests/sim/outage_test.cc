#include "base/log.h"
#include "exporter/fakes.h"
#include "exporter/scheduler.h"

#include <deque>
#include <gtest/gtest.h>

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using exporter::Outcome;
using exporter::fake::seq;

// Does at once what it is asked for, on the virtual clock.
class PromptHands final : public exporter::Hands {
 public:
  void deliver(exporter::Job job) override { jobs.push_back(std::move(job)); }
  void keep(exporter::CursorTask task) override { tasks.push_back(std::move(task)); }
  std::deque<exporter::Job> jobs;
  std::deque<exporter::CursorTask> tasks;
};

class OutageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    scheduler_ = std::make_unique<exporter::Scheduler>(
        exporter::Options{}, exporter::Scheduler::Environment{
                                 clock_,
                                 [this](const exporter::ExportSpec& spec)
                                     -> Result<std::unique_ptr<exporter::Destination>> {
                                   return std::make_unique<exporter::fake::ScriptedDestination>(
                                       [this, name = spec.stream_name](const exporter::Batch& batch,
                                                                       const std::stop_token&) {
                                         return answer(name, batch);
                                       },
                                       exporter::Destination::Limits{}, "kinesis.example");
                                 },
                                 hands_, filter_, board_, reporter_, 7});
  }
  void TearDown() override { log::capture(nullptr); }

  std::shared_ptr<exporter::fake::Log> add_stream(std::uint64_t id) {
    auto log = std::make_shared<exporter::fake::Log>();
    const std::string name = "stream" + std::to_string(id);
    std::vector<exporter::Engine::Wanted> wanted{{exporter::fake::config("cloud"), true}};
    board_.set(StreamId(id), name, log, wanted);
    scheduler_->set_exports(StreamId(id), name, log, std::make_shared<exporter::fake::Cursors>(),
                            wanted, seq(0), seq(0));
    run_until(clock_.now());
    return log;
  }
  void append(std::uint64_t id, exporter::fake::Log& log, std::int64_t count) {
    log.append(count);
    if (filter_.moved(StreamId(id), clock_.now())) run_until(clock_.now());
  }

  Outcome answer(const std::string& stream, const exporter::Batch& batch) {
    tries_.emplace_back(stream, clock_.now());
    if (clock_.now() >= works_from_) {
      delivered_[stream] += static_cast<std::int64_t>(batch.size());
      first_success_.try_emplace(stream, clock_.now());
      return Outcome::delivered();
    }
    auto outcome = Outcome::retry(exporter::FailureClass::kTransient, "no route to host");
    outcome.connection_failed = true;
    return outcome;
  }

  void run_until(Instant until) {
    for (;;) {
      const Instant next = scheduler_->run_once();
      if (!hands_.tasks.empty()) {
        const auto task = std::move(hands_.tasks.front());
        hands_.tasks.pop_front();
        if (task.kind == exporter::CursorTask::Kind::kLoad) {
          scheduler_->loaded(task.stream, {});
        } else {
          scheduler_->saved(task.serial, task.revision, {});
        }
      } else if (!hands_.jobs.empty()) {
        const auto job = std::move(hands_.jobs.front());
        hands_.jobs.pop_front();
        scheduler_->delivered(job.id, exporter::run_job(job));
      } else if (next > until) {
        clock_.advance(until - clock_.now());
        return;
      } else {
        clock_.advance(std::max<Duration>(0ns, next - clock_.now()));
      }
    }
  }
  [[nodiscard]] Duration longest_pause(const std::string& stream) const {
    Duration longest{0};
    std::optional<Instant> last;
    for (const auto& [name, at] : tries_) {
      if (name != stream) continue;
      if (last) longest = std::max(longest, at - *last);
      last = at;
    }
    return longest;
  }

  ManualClock clock_;
  metrics::Registry metrics_;
  PromptHands hands_;
  exporter::MoveFilter filter_;
  exporter::StatusBoard board_{clock_};
  exporter::Reporter reporter_{metrics_};
  std::unique_ptr<exporter::Scheduler> scheduler_;
  Instant works_from_ = Instant::max();
  std::vector<std::pair<std::string, Instant>> tries_;
  std::map<std::string, std::int64_t> delivered_;
  std::map<std::string, Instant> first_success_;
};

TEST_F(OutageTest, AfterSixHoursTheFirstDeliveryComesWithinFiveMinutesAndTheRestWithinSeconds) {
  const Instant begin = clock_.now();
  works_from_ = begin + 6h;
  std::vector<std::shared_ptr<exporter::fake::Log>> logs;
  for (std::uint64_t id = 1; id <= 8; ++id) logs.push_back(add_stream(id));
  for (int minute = 0; minute < 6 * 60; ++minute) {
    for (std::uint64_t id = 1; id <= logs.size(); ++id) append(id, *logs[id - 1], 60);
    run_until(clock_.now() + 1min);
  }
  run_until(works_from_ + 6min);
  ASSERT_EQ(first_success_.size(), logs.size());
  Instant first = Instant::max();
  for (const auto& [stream, at] : first_success_) first = std::min(first, at);
  EXPECT_LE(first - works_from_, 5min);
  for (const auto& [stream, at] : first_success_) {
    EXPECT_LE(at - first, 2s) << stream << " did not hear that the host is back";
    EXPECT_EQ(delivered_[stream], 6 * 60 * 60);
    EXPECT_LE(longest_pause(stream), 5min);
  }
  // 1, 2, 4 ... 256 s and then every 150 to 300 s: few tries, no storm.
  const auto tries = static_cast<double>(tries_.size()) / static_cast<double>(logs.size());
  EXPECT_LT(tries, 300);
  RecordProperty("tries_per_export", std::to_string(tries));
}

TEST_F(OutageTest, AClockThatJumpsChangesNoPause) {
  works_from_ = clock_.now() + 1h;
  const auto log = add_stream(1);
  append(1, *log, 1);
  for (int i = 0; i < 60; ++i) {
    clock_.step_wall_ms(i % 2 == 0 ? 86'400'000 : -172'800'000);
    run_until(clock_.now() + 1min);
  }
  run_until(works_from_ + 5min);
  EXPECT_EQ(delivered_["stream1"], 1);
  EXPECT_LE(longest_pause("stream1"), 5min);
  EXPECT_LT(tries_.size(), 40U);
}

}  // namespace
}  // namespace weir::sim
