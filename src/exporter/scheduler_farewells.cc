// What becomes of exports that were removed: each tells its destination once, in turn.

#include "exporter/farewell.h"
#include "exporter/scheduler.h"
#include "exporter/scheduler_state.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weir::exporter {
namespace {

// What removed streams left behind may take while it waits for a worker.
constexpr std::size_t kWaitingFarewellsBytesMax = std::size_t{16} << 20;

}  // namespace

void Scheduler::leave_behind(StreamId id, const std::string& identifier,
                             std::shared_ptr<Farewell> left) {
  const auto found = streams_.find(id);
  if (found != streams_.end()) found->second->left_behind[identifier] = std::move(left);
}

void Scheduler::say_farewell(StreamState& stream, Export& item, std::shared_ptr<Farewell> left) {
  const model::ExportConfig& config = item.machine.config();
  if (!item.destination && config.type == model::ExportType::kS3TaskExecutor) {
    // A disabled one was perhaps never made; whoever waits for its tasks waits all the same.
    auto made = environment_.factory({stream.name, config, nullptr, item.priority});
    if (made) item.destination = std::move(*made);
  }
  if (!item.destination || !item.destination->wants_farewell()) return;
  Job job;
  job.farewell = true;
  job.id = ++last_job_;
  job.stream_name = stream.name;
  job.identifier = config.identifier;
  job.grant.from = item.machine.next();
  job.log = stream.log;
  job.destination = item.destination;
  job.note = stream.cursors->note(config.identifier);
  job.left_behind = std::move(left);
  leaving_.insert({job.stream_name, job.identifier});
  if (item.job != 0) {
    running_.at(item.job).then = std::move(job);
  } else {
    queue_farewell(std::move(job));
  }
}

void Scheduler::queue_farewell(Job job) {
  std::size_t bytes = 0;
  for (const Job& waiting : farewells_) {
    if (waiting.left_behind) bytes += waiting.left_behind->pending.payload_bytes();
  }
  if (job.left_behind &&
      bytes + job.left_behind->pending.payload_bytes() > kWaitingFarewellsBytesMax) {
    job.left_behind = without_payloads(*job.left_behind);
  }
  farewells_.push_back(std::move(job));
  start_farewells();
}

// All workers but one at most: they may wait for a network that is not there.
void Scheduler::start_farewells() {
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, options_.worker_count - 1));
  while (!farewells_.empty() && farewells_under_way_ < most) {
    Job job = std::move(farewells_.front());
    farewells_.pop_front();
    ++farewells_under_way_;
    auto& running = running_[job.id];
    running = {0,
               0,
               std::stop_source(),
               job.destination,
               false,
               Leaving{job.stream_name, job.identifier},
               std::nullopt};
    job.stop = running.stop.get_token();
    if (farewells_stopped_) running.stop.request_stop();
    environment_.hands.deliver(std::move(job));
  }
}

void Scheduler::farewell_ended(const Leaving& leaving) {
  --farewells_under_way_;
  leaving_.erase(leaving_.find(leaving));
  start_farewells();
  for (const StreamId id : std::exchange(held_back_, {})) look(id);
}

// One of the same name was removed and still tells what became of its tasks: one after the other,
// so that nobody takes the one's upload or its note for the other's.
bool Scheduler::is_leaving(const Export& item) const {
  return !leaving_.empty() &&
         leaving_.contains({streams_.at(item.stream)->name, item.machine.config().identifier});
}

void Scheduler::stop_farewells() {
  farewells_stopped_ = true;
  for (auto& [id, running] : running_) running.stop.request_stop();
}

}  // namespace weir::exporter
