#include "exporter/engine.h"

#include "base/log.h"
#include "exporter/crew.h"
#include "exporter/delivery.h"
#include "exporter/farewell.h"
#include "exporter/lookahead.h"
#include "exporter/mailbox.h"
#include "exporter/move_filter.h"
#include "exporter/reporter.h"
#include "exporter/rest.h"
#include "exporter/scheduler.h"
#include "exporter/status_board.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace weir::exporter {
namespace {

using Steady = std::chrono::steady_clock;

// Who was removed a moment ago has so long to tell what becomes of its tasks.
constexpr auto kFarewellsEndWithin = std::chrono::milliseconds(3'000);
// Deliveries honour their stop token within 5 s; then there is a moment left for the positions.
constexpr auto kDeliveriesEndWithin = std::chrono::milliseconds(4'500);
constexpr auto kPositionsSavedWithin = std::chrono::milliseconds(5'500);
constexpr auto kThreadsEndWithin = std::chrono::milliseconds(6'000);

// A backlog may take whatever is left of the processors, but those who append come first.
constexpr int kNicenessOfDeliveries = 10;

// All that the threads share. They own it together, so that one which hangs beyond `stop` does not
// outlive what it uses.
class Core final : public Hands {
 public:
  Core(const Options& options, Engine::Environment environment)
      : clock_(environment.clock),
        rest_(std::move(environment.client_load)),
        board_(std::make_shared<StatusBoard>(environment.clock)),
        reporter_(environment.metrics),
        scheduler_(options, {environment.clock, std::move(environment.factory), *this, filter_,
                             *board_, reporter_, environment.random_seed}) {
    environment.metrics.add_collector(
        [board = board_](metrics::Samples& samples) { board->collect(samples); });
  }

  void deliver(Job job) override { jobs_.push(std::move(job)); }
  void keep(CursorTask task) override { cursor_tasks_.push(std::move(task)); }

  void run_scheduler() {
    Instant next{};
    while (!stopping_.load()) {
      for (auto& news : mailbox_.wait(next, clock_)) news(scheduler_);
      next = scheduler_.run_once();
    }
    const auto since = Steady::now();
    scheduler_.stop_granting();
    // A removal that was answered already may still be on its way here.
    for (auto& news : mailbox_.wait(Instant{}, clock_)) news(scheduler_);
    const auto all_ended = [this] { return scheduler_.deliveries_under_way() == 0; };
    hear_until(since + kFarewellsEndWithin, all_ended);
    scheduler_.stop_farewells();
    hear_until(since + kDeliveriesEndWithin, all_ended);
    if (scheduler_.farewells_left() > 0) {
      log::warn("Stopped before all removed exports had told what becomes of their tasks.",
                {{"exports", scheduler_.farewells_left()}});
    }
    scheduler_.save_all();
    hear_until(since + kPositionsSavedWithin, [this] {
      // A save that was under way may have been of an older position.
      if (scheduler_.saves_under_way() == 0) scheduler_.save_all();
      return scheduler_.saves_under_way() == 0;
    });
    if (scheduler_.saves_under_way() > 0) {
      log::warn("Stopped before all export positions were saved; some messages will be repeated.",
                {{"exports", scheduler_.saves_under_way()}});
    }
    scheduler_.give_up_settling();
    jobs_.close();
    cursor_tasks_.close();
    lookahead_.close();
  }

  void run_worker() {
    while (auto job = jobs_.pop()) {
      auto delivery = std::make_shared<Delivery>(run_job(*job, &lookahead_, &rest_));
      const std::uint64_t id = job->id;
      job.reset();  // a destination that was replaced meanwhile goes here, not on the scheduler
      mailbox_.post([id, delivery](Scheduler& scheduler) { scheduler.delivered(id, *delivery); });
    }
  }

  void run_lookahead() { lookahead_.run(); }

  void run_saver() {
    while (auto task = cursor_tasks_.pop()) {
      if (task->kind == CursorTask::Kind::kLoad) {
        mailbox_.post([id = task->stream, cursors = task->store->load()](Scheduler& scheduler) {
          scheduler.loaded(id, cursors);
        });
        continue;
      }
      auto outcome = carry_out(*task);
      if (task->kind == CursorTask::Kind::kSave) {
        mailbox_.post([serial = task->serial, revision = task->revision,
                       outcome = std::move(outcome)](Scheduler& scheduler) {
          scheduler.saved(serial, revision, outcome);
        });
        continue;
      }
      if (!outcome && outcome.error().code != Errc::kNotFound) {
        log::warn("The position of a removed export could not be deleted.",
                  {{"stream", task->stream_name},
                   {"destination", task->cursor.identifier},
                   {"error", outcome.error().what}});
      }
      mailbox_.post([id = task->stream, outcome = std::move(outcome)](Scheduler& scheduler) {
        scheduler.removed(id, outcome);
      });
    }
  }

  void ask_to_stop() {
    stopping_.store(true);
    mailbox_.wake();
  }

  Clock& clock() { return clock_; }
  Mailbox& mailbox() { return mailbox_; }
  MoveFilter& filter() { return filter_; }
  StatusBoard& board() { return *board_; }

 private:
  template <class Done>
  void hear_until(Steady::time_point deadline, const Done& done) {
    while (!done() && Steady::now() < deadline) {
      const Instant until = clock_.now() + (deadline - Steady::now());
      for (auto& news : mailbox_.wait(until, clock_)) news(scheduler_);
    }
  }

  Clock& clock_;
  Mailbox mailbox_;
  WorkQueue<Job> jobs_;
  Lookahead lookahead_;
  Rest rest_;
  WorkQueue<CursorTask> cursor_tasks_;
  MoveFilter filter_;
  std::shared_ptr<StatusBoard> board_;
  Reporter reporter_;
  Scheduler scheduler_;
  std::atomic<bool> stopping_{false};
};

class ThreadedEngine final : public Engine {
 public:
  ThreadedEngine(const Options& options, Environment environment)
      : core_(std::make_shared<Core>(options, std::move(environment))) {
    for (std::int64_t i = 0; i < options.worker_count; ++i) {
      crew_.start(
          "weir-export-" + std::to_string(i), [core = core_] { core->run_worker(); },
          kNicenessOfDeliveries);
    }
    crew_.start(
        "weir-lookahead", [core = core_] { core->run_lookahead(); }, kNicenessOfDeliveries);
    crew_.start("weir-cursors", [core = core_] { core->run_saver(); });
    crew_.start("weir-scheduler", [core = core_] { core->run_scheduler(); });
  }
  ~ThreadedEngine() override { stop(); }

  void set_exports(StreamId id, const std::string& stream_name,
                   std::shared_ptr<stream::LogReader> log,
                   std::shared_ptr<stream::CursorStore> cursors,
                   std::vector<Wanted> wanted) override {
    // The store has read the positions already; this copies them.
    const bool any = !wanted.empty();
    core_->board().set(id, stream_name, log, wanted,
                       any ? cursors->load() : std::vector<stream::Cursor>{});
    const SequenceNumber oldest = log->oldest();
    const SequenceNumber end = log->durable_end();
    core_->mailbox().post([id, stream_name, log = std::move(log), cursors = std::move(cursors),
                           wanted = std::move(wanted), oldest, end](Scheduler& scheduler) {
      scheduler.set_exports(id, stream_name, log, cursors, wanted, oldest, end);
    });
  }

  void set_options(const Options& options) override {
    core_->mailbox().post([options](Scheduler& scheduler) { scheduler.set_options(options); });
  }

  void when_settled(StreamId id, std::function<void(const Result<void>&)> done) override {
    core_->mailbox().post(
        [id, done = std::move(done)](Scheduler& scheduler) { scheduler.when_settled(id, done); });
  }

  void give_order(StreamId id, const std::string& identifier, const Order& order,
                  std::function<void(const Result<std::string>&)> done) override {
    core_->mailbox().post([id, identifier, order, done = std::move(done)](Scheduler& scheduler) {
      scheduler.give_order(id, identifier, order, done);
    });
  }

  void stream_leaving(StreamId id, const model::StreamDefinition& definition,
                      const std::shared_ptr<stream::LogReader>& log) override {
    const auto known = core_->board().statuses(id);
    for (const auto& config : definition.exports) {
      if (config.type != model::ExportType::kS3TaskExecutor) continue;
      const auto status = std::find_if(known.begin(), known.end(), [&](const auto& each) {
        return each.export_config_identifier == config.identifier;
      });
      const SequenceNumber next(status == known.end() ? 0
                                                      : status->last_exported_sequence_number + 1);
      auto left = read_farewell(definition.name, config.identifier, *log, next);
      core_->mailbox().post([id, identifier = config.identifier, left](Scheduler& scheduler) {
        scheduler.leave_behind(id, identifier, left);
      });
    }
  }

  void remove_stream(StreamId id) override {
    core_->board().remove(id);
    core_->mailbox().post([id](Scheduler& scheduler) { scheduler.remove_stream(id); });
  }

  void stream_moved(StreamId id) override {
    if (core_->filter().moved(id, core_->clock().now())) core_->mailbox().wake();
  }

  std::vector<model::ExportStatus> statuses(StreamId id) const override {
    return core_->board().statuses(id);
  }
  std::vector<ExportView> views() const override { return core_->board().views(); }
  std::vector<ExportView> views(StreamId id) const override { return core_->board().views(id); }

  void stop() override {
    if (stopped_.exchange(true)) return;
    core_->ask_to_stop();
    const std::size_t left = crew_.join(Steady::now() + kThreadsEndWithin);
    if (left > 0) {
      log::error("Export threads did not end in time; their deliveries will be repeated.",
                 {{"threads", left}});
    }
  }

 private:
  std::shared_ptr<Core> core_;
  Crew crew_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<Engine> Engine::start(const Options& options, Environment environment) {
  return std::make_unique<ThreadedEngine>(options, std::move(environment));
}

}  // namespace weir::exporter
