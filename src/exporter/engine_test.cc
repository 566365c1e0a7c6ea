#include "exporter/engine.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "base/testing.h"
#include "exporter/fakes.h"

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <thread>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;
using fake::seq;
using weir::testing::eventually;

// What a destination received, in the order it came. Threads: any.
class Received {
 public:
  void add(const Batch& batch) {
    const MutexLock lock(mutex_);
    for (const Message& message : batch.messages()) {
      messages_.emplace_back(message.sequence.value(), as_text(message.payload));
    }
  }
  [[nodiscard]] std::vector<std::pair<std::int64_t, std::string>> all() const {
    const MutexLock lock(mutex_);
    return messages_;
  }
  [[nodiscard]] std::size_t count() const {
    const MutexLock lock(mutex_);
    return messages_.size();
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::pair<std::int64_t, std::string>> messages_ WEIR_GUARDED_BY(mutex_);
};

class EngineTest : public ::testing::Test {
 protected:
  void start(DestinationFactory factory) {
    options_.cursor_save_interval_ms = 10;
    options_.backoff_first_ms = 2;
    options_.backoff_ceiling_ms = 20;
    options_.operator_retry_min_ms = 10;
    engine_ = Engine::start(options_, {clock_, metrics_, std::move(factory), 1});
  }
  void export_with(const fake::ScriptedDestination::Script& script) {
    start([script](const ExportSpec&) -> Result<std::unique_ptr<Destination>> {
      return std::make_unique<fake::ScriptedDestination>(script);
    });
  }
  void define(std::vector<Engine::Wanted> wanted, std::uint64_t id = 1) {
    engine_->set_exports(StreamId(id), "pumps", log_, cursors_, std::move(wanted));
  }
  void append(std::int64_t count) {
    log_->append(count);
    engine_->stream_moved(StreamId(1));
  }
  model::ExportStatus status() {
    const auto all = engine_->statuses(StreamId(1));
    return all.empty() ? model::ExportStatus{} : all.front();
  }

  SystemClock clock_;
  metrics::Registry metrics_;
  Options options_;
  std::shared_ptr<fake::Log> log_ = std::make_shared<fake::Log>();
  std::shared_ptr<fake::Cursors> cursors_ = std::make_shared<fake::Cursors>();
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, DeliversWhatIsAppendedInOrderAndSavesThePosition) {
  Received received;
  export_with([&](const Batch& batch, const std::stop_token&) {
    received.add(batch);
    return Outcome::delivered();
  });
  define({{fake::config("cloud"), true}});
  for (int i = 0; i < 300; ++i) append(7);
  ASSERT_TRUE(eventually([&] { return status().last_exported_sequence_number == 2099; }));
  const auto all = received.all();
  ASSERT_EQ(all.size(), 2100U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].first, static_cast<std::int64_t>(i));
    ASSERT_EQ(all[i].second, log_->payload(static_cast<std::int64_t>(i)));
  }
  EXPECT_EQ(status().exported_messages_count, 2100);
  EXPECT_EQ(status().error_message, "");
  EXPECT_GT(status().last_export_time_ms, 0);
  ASSERT_TRUE(eventually([&] {
    const auto saved = cursors_->find("cloud");
    return saved && saved->next == seq(2100);
  }));
}

TEST_F(EngineTest, ABacklogIsPreparedAheadAndComesWholeAndInOrderWhateverFails) {
  Received received;
  Rng rng(20261120);
  // Called on any worker, one at a time.
  const auto script = [&](const Batch& batch, const std::stop_token&) {
    Outcome outcome = Outcome::delivered();
    const auto luck = rng.below(40);
    if (luck == 0) return Outcome::retry(FailureClass::kTransient, "no answer");
    if (luck == 1) {
      outcome = Outcome::retry(FailureClass::kThrottle, "later");
      outcome.records.resize(batch.size(), {Verdict::kDelivered, FailureClass::kNone, {}});
      outcome.records.back() = {Verdict::kRetry, FailureClass::kThrottle, "later"};
    }
    Batch taken("pumps", "cloud");
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const Message& message = batch.messages()[i];
      if (!outcome.records.empty() && outcome.records[i].verdict == Verdict::kRetry) continue;
      taken.add(message.sequence, message.append_ms, message.payload);
    }
    received.add(taken);
    return outcome;
  };
  start([script](const ExportSpec&) -> Result<std::unique_ptr<Destination>> {
    Destination::Limits limits;
    limits.messages_max = 20;
    limits.batch_bytes_max = 64 * 1024;
    return std::make_unique<fake::PreparingDestination>(script, limits);
  });
  log_->append(5'011);
  define({{fake::config("cloud"), true}});
  ASSERT_TRUE(eventually([&] { return status().last_exported_sequence_number == 5'010; }))
      << "seed 20261120";
  const auto all = received.all();
  ASSERT_EQ(all.size(), 5'011U) << "each once: nothing failed after it was taken";
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].first, static_cast<std::int64_t>(i)) << "seed 20261120";
    ASSERT_EQ(all[i].second, log_->payload(static_cast<std::int64_t>(i)));
  }
  EXPECT_EQ(status().exported_messages_count, 5'011);
}

TEST_F(EngineTest, DeliveriesLeaveTheProcessorToThoseWhoAppend) {
  std::atomic<int> niceness{-100};
  export_with([&](const Batch&, const std::stop_token&) {
    niceness = getpriority(PRIO_PROCESS, 0);
    return Outcome::delivered();
  });
  define({{fake::config("cloud"), true}});
  append(1);
  ASSERT_TRUE(eventually([&] { return niceness != -100; }));
  EXPECT_EQ(niceness, std::min(getpriority(PRIO_PROCESS, 0) + 10, 19));
}

TEST_F(EngineTest, GoesOnAfterARestartWhereItWas) {
  Received received;
  const auto script = [&](const Batch& batch, const std::stop_token&) {
    received.add(batch);
    return Outcome::delivered();
  };
  export_with(script);
  define({{fake::config("cloud"), true}});
  append(100);
  ASSERT_TRUE(eventually([&] { return received.count() == 100; }));
  engine_->stop();
  engine_.reset();
  ASSERT_EQ(cursors_->find("cloud")->next, seq(100));
  export_with(script);
  define({{fake::config("cloud"), true}});
  append(50);
  ASSERT_TRUE(eventually([&] { return status().last_exported_sequence_number == 149; }));
  EXPECT_EQ(received.count(), 150U);
  EXPECT_EQ(status().exported_messages_count, 150);
}

TEST_F(EngineTest, StatusesAreThereAtOnceInDefinitionOrderWithoutTheOnesOfTheConfiguration) {
  export_with([](const Batch&, const std::stop_token&) { return Outcome::delivered(); });
  auto disabled = fake::config("off");
  disabled.disabled = true;
  disabled.start_sequence_number = 40;
  define({{fake::config("web", model::ExportType::kHttp), true},
          {disabled, true},
          {fake::config("local", model::ExportType::kFile), false}});
  const auto statuses = engine_->statuses(StreamId(1));
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses[0].export_config_identifier, "web");
  EXPECT_EQ(statuses[0].last_exported_sequence_number, -1);
  EXPECT_EQ(statuses[1].export_config_identifier, "off");
  EXPECT_EQ(statuses[1].last_exported_sequence_number, 39);
  ASSERT_TRUE(eventually([&] {
    const auto views = engine_->views();
    return views.size() == 3 && views[1].state == State::kStopped;
  }));
  EXPECT_EQ(engine_->views()[1].reason, "disabled");
  EXPECT_FALSE(engine_->views()[2].on_wire);
}

TEST_F(EngineTest, OneHangingExportDelaysNoOtherAndStopInterruptsIt) {
  std::atomic<bool> hanging{false};
  Received received;
  start([&](const ExportSpec& spec) -> Result<std::unique_ptr<Destination>> {
    if (spec.config.identifier == "stuck") {
      return std::make_unique<fake::ScriptedDestination>(
          [&](const Batch&, const std::stop_token& stop) {
            hanging = true;
            while (!stop.stop_requested()) std::this_thread::yield();
            return Outcome::retry(FailureClass::kTransient, "interrupted");
          });
    }
    return std::make_unique<fake::ScriptedDestination>(
        [&](const Batch& batch, const std::stop_token&) {
          received.add(batch);
          return Outcome::delivered();
        });
  });
  define({{fake::config("stuck"), true}, {fake::config("good"), true}});
  append(10);
  ASSERT_TRUE(eventually([&] { return hanging.load(); }));
  append(10);
  ASSERT_TRUE(eventually([&] { return received.count() == 20; }));
  const auto before = std::chrono::steady_clock::now();
  engine_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  EXPECT_EQ(status().last_exported_sequence_number, -1) << "of the stuck export";
  EXPECT_EQ(cursors_->find("good")->next, seq(20));
}

TEST_F(EngineTest, ARemovedStreamInterruptsItsDeliveriesAndIsForgotten) {
  std::atomic<int> hanging{0};
  export_with([&](const Batch&, const std::stop_token& stop) {
    ++hanging;
    while (!stop.stop_requested()) std::this_thread::yield();
    --hanging;
    return Outcome::retry(FailureClass::kTransient, "interrupted");
  });
  define({{fake::config("cloud"), true}});
  append(1);
  ASSERT_TRUE(eventually([&] { return hanging == 1; }));
  engine_->remove_stream(StreamId(1));
  EXPECT_TRUE(engine_->statuses(StreamId(1)).empty());
  EXPECT_TRUE(engine_->views().empty());
  EXPECT_TRUE(eventually([&] { return hanging == 0; }));
}

TEST_F(EngineTest, RetriesUntilItWorksAndShowsWhy) {
  std::atomic<int> tries{0};
  std::atomic<bool> works{false};
  export_with([&](const Batch&, const std::stop_token&) {
    ++tries;
    if (!works) return Outcome::retry(FailureClass::kOperator, "AccessDenied on stream/x");
    return Outcome::delivered();
  });
  define({{fake::config("cloud"), true}});
  append(5);
  ASSERT_TRUE(eventually([&] { return tries >= 3 && !status().error_message.empty(); }));
  EXPECT_EQ(status().error_message, "AccessDenied on stream/x");
  EXPECT_EQ(status().last_exported_sequence_number, -1);
  works = true;
  ASSERT_TRUE(eventually([&] { return status().last_exported_sequence_number == 4; }));
  EXPECT_EQ(status().error_message, "");
}

TEST_F(EngineTest, ABrokenExportSaysWhatToFixAndRunsOnceRedefined) {
  Received received;
  start([&](const ExportSpec& spec) -> Result<std::unique_ptr<Destination>> {
    if (spec.config.target == "target") {
      return fail(Errc::kInvalidArgument, "no region is set; set AWS_REGION");
    }
    return std::make_unique<fake::ScriptedDestination>(
        [&](const Batch& batch, const std::stop_token&) {
          received.add(batch);
          return Outcome::delivered();
        });
  });
  define({{fake::config("cloud"), true}});
  append(3);
  ASSERT_TRUE(eventually([&] { return engine_->views()[0].state == State::kBroken; }));
  EXPECT_EQ(engine_->views()[0].reason, "no region is set; set AWS_REGION");
  EXPECT_EQ(engine_->views()[0].waiting_messages, 3);
  auto corrected = fake::config("cloud");
  corrected.target = "other";
  define({{corrected, true}});
  EXPECT_TRUE(eventually([&] { return received.count() == 3; }));
}

TEST_F(EngineTest, ADestinationThatThrowsLosesNothing) {
  std::atomic<int> tries{0};
  export_with([&](const Batch&, const std::stop_token&) -> Outcome {
    if (++tries < 3) throw std::runtime_error("surprise");
    return Outcome::delivered();
  });
  define({{fake::config("cloud"), true}});
  append(2);
  EXPECT_TRUE(eventually([&] { return status().last_exported_sequence_number == 1; }));
  EXPECT_EQ(tries, 3);
}

TEST_F(EngineTest, MovesAndDefinitionsFromManyThreadsLoseNoMessage) {
  Received received;
  export_with([&](const Batch& batch, const std::stop_token&) {
    received.add(batch);
    return Outcome::delivered();
  });
  define({{fake::config("cloud"), true}});
  std::thread asking([&] {
    for (int i = 0; i < 200; ++i) {
      (void)engine_->views();
      (void)engine_->statuses(StreamId(1));
      (void)metrics_.text();
    }
  });
  std::thread redefining([&] {
    for (int i = 0; i < 200; ++i) {
      auto changed = fake::config("cloud");
      changed.priority = i % 10 + 1;
      define({{changed, true}});
    }
  });
  for (int i = 0; i < 5000; ++i) append(1);
  asking.join();
  redefining.join();
  ASSERT_TRUE(eventually([&] { return status().last_exported_sequence_number == 4999; }));
  EXPECT_EQ(received.count(), 5000U);
}

}  // namespace
}  // namespace weir::exporter
