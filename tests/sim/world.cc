#include "world.h"

#include "base/log.h"

#include <algorithm>

namespace weir::sim {

using exporter::Delivery;
using exporter::Engine;
using namespace std::chrono_literals;

struct World::Export {
  std::string stream;
  model::ExportConfig config;
  std::unique_ptr<Cloud> cloud;
  std::int64_t position = -1;       // as last reported
  bool known = false;               // reported since the process started or the definition changed
  std::int64_t counted_before = 0;  // lost by counters of earlier processes
};

struct World::Stream {
  StreamId id;
  std::string name;
  std::shared_ptr<exporter::fake::Log> log;
  std::shared_ptr<exporter::fake::Cursors> cursors;
  std::vector<Export*> exports;
};

// Keeps what the scheduler hands out until the simulation does it.
class World::SimHands final : public exporter::Hands {
 public:
  void deliver(exporter::Job job) override { jobs.push_back(std::move(job)); }
  void keep(exporter::CursorTask task) override { tasks.push_back(std::move(task)); }
  std::vector<exporter::Job> jobs;
  std::deque<exporter::CursorTask> tasks;
};

World::World(std::uint64_t seed, Sabotage sabotage) : rng_(seed), sabotage_(sabotage) {
  log::capture([](log::Level, const std::string&) {});
  options_.worker_count = static_cast<std::int64_t>(1 + rng_.below(4));
  options_.batch_budget_bytes = 2'000;
  const std::uint64_t stream_count = 1 + rng_.below(3);
  for (std::uint64_t s = 0; s < stream_count; ++s) {
    auto stream = std::make_unique<Stream>();
    stream->id = StreamId(s + 1);
    stream->name = "stream" + std::to_string(s);
    stream->log = std::make_shared<exporter::fake::Log>(stream->name, 3'000);
    stream->cursors = std::make_shared<exporter::fake::Cursors>();
    if (rng_.chance(0.3)) stream->log->hold_durable();
    streams_.push_back(std::move(stream));
  }
  for (auto& stream : streams_) {
    const std::uint64_t exports = 1 + rng_.below(3);
    for (std::uint64_t e = 0; e < exports; ++e) random_definition_change(*stream);
  }
  start_process();
}
World::~World() = default;

void World::note(const std::string& what) {
  constexpr std::size_t kStoryBytesMax = 200'000;
  if (story_.size() < kStoryBytesMax) story_ += what + "\n";
}

void World::start_process() {
  hands_ = std::make_unique<SimHands>();
  filter_ = std::make_unique<exporter::MoveFilter>();
  board_ = std::make_unique<exporter::StatusBoard>(clock_);
  reporter_ = std::make_unique<exporter::Reporter>(metrics_);
  const auto factory =
      [this](const exporter::ExportSpec& spec) -> Result<std::unique_ptr<exporter::Destination>> {
    Export* item = find(spec.stream_name, spec.config.identifier);
    exporter::Destination::Limits limits;
    limits.messages_max = 20;
    limits.batch_bytes_max = 400;
    limits.message_overhead_bytes = 5;
    return std::make_unique<exporter::fake::ScriptedDestination>(
        [item](const exporter::Batch& batch, const std::stop_token&) {
          return item->cloud->take(batch);
        },
        limits, "cloud.example");
  };
  scheduler_ = std::make_unique<exporter::Scheduler>(
      options_, exporter::Scheduler::Environment{clock_, factory, *hands_, *filter_, *board_,
                                                 *reporter_, rng_.next()});
  next_run_ = clock_.now();
  for (auto& stream : streams_) define(*stream);
}

// As SIGKILL does it: nothing is saved, nothing is answered.
void World::kill_process() {
  note("killed");
  for (auto& item : all_exports_) {
    item->cloud->process_killed();
    item->known = false;
  }
  for (const auto& view : board_->views()) {
    if (Export* item = find(view.stream_name, view.config.identifier)) {
      item->counted_before += view.lost_messages;
    }
  }
  // An export without a saved position for its present start is a new one.
  for (auto& stream : streams_) {
    for (Export* item : stream->exports) {
      const auto saved = stream->cursors->find(item->config.identifier);
      const std::int64_t start = item->config.start_sequence_number.value_or(0);
      if (!saved || saved->start_sequence_number != start) place(*stream, *item);
    }
  }
  answers_.clear();
  scheduler_.reset();
  start_process();
}

void World::place(const Stream& stream, Export& item) {
  const std::int64_t start = item.config.start_sequence_number.value_or(0);
  item.cloud->place(std::max(start, stream.log->oldest().value()));
  item.known = false;
  item.counted_before = 0;
}

// Positions that were changed on request are saved within milliseconds (D1); killing the process
// within them is left out here.
void World::save_definition_change(Stream& stream) {
  stream.cursors->fail_saves(false);
  settle();
  while (!hands_->tasks.empty()) {
    do_cursor_task();
    settle();
  }
}

World::Export* World::find(const std::string& stream, const std::string& identifier) {
  for (auto& item : streams_) {
    if (item->name != stream) continue;
    for (Export* each : item->exports) {
      if (each->config.identifier == identifier) return each;
    }
  }
  return nullptr;
}

void World::define(Stream& stream) {
  std::vector<Engine::Wanted> all;
  for (const Export* item : stream.exports) all.push_back({item->config, true});
  board_->set(stream.id, stream.name, stream.log, all);
  scheduler_->set_exports(stream.id, stream.name, stream.log, stream.cursors, all,
                          stream.log->oldest(), stream.log->durable_end());
  next_run_ = clock_.now();
}

void World::random_definition_change(Stream& stream) {
  const bool add = stream.exports.empty() || (stream.exports.size() < 3 && rng_.chance(0.4));
  if (add) {
    auto item = std::make_unique<Export>();
    item->stream = stream.name;
    // A name that was used before is an export like any other.
    item->config = exporter::fake::config("export" + std::to_string(names_++ % 5));
    if (find(stream.name, item->config.identifier) != nullptr) return;
    if (rng_.chance(0.3)) item->config.batch_interval_ms = 60'000;
    if (rng_.chance(0.5)) item->config.batch_size = static_cast<std::int64_t>(1 + rng_.below(20));
    if (rng_.chance(0.5)) item->config.priority = static_cast<std::int64_t>(1 + rng_.below(10));
    if (rng_.chance(0.2)) {
      item->config.start_sequence_number = static_cast<std::int64_t>(rng_.below(30));
    }
    item->cloud = std::make_unique<Cloud>(
        stream.log, rng_.next(), rng_.chance(0.3) ? static_cast<std::int64_t>(rng_.below(9)) : 0);
    item->cloud->sabotage(sabotage_);
    place(stream, *item);
    stream.exports.push_back(item.get());
    note(stream.name + "/" + item->config.identifier + " added at " +
         std::to_string(item->cloud->start()));
    all_exports_.push_back(std::move(item));
    return;
  }
  Export& item = *stream.exports[rng_.below(stream.exports.size())];
  const std::string name = stream.name + "/" + item.config.identifier;
  switch (rng_.below(5)) {
    case 0:
      item.config.priority = static_cast<std::int64_t>(1 + rng_.below(10));
      break;
    case 1:
      item.config.disabled = !item.config.disabled.value_or(false);
      note(name + (*item.config.disabled ? " disabled" : " enabled"));
      break;
    case 2: {
      const std::int64_t newest = stream.log->visible_end().value() - 1;
      if (newest < 1) return;
      const auto start = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(newest)));
      if (start == item.config.start_sequence_number.value_or(0)) return;
      item.config.start_sequence_number = start;
      place(stream, item);
      note(name + " repositioned at " + std::to_string(start));
      break;
    }
    case 3:
      item.config.batch_size = static_cast<std::int64_t>(1 + rng_.below(20));
      break;
    case 4:
      note(name + " removed");
      std::erase(stream.exports, &item);
      break;
  }
}

void World::moved(const Stream& stream) {
  // Only what the filter lets through wakes the scheduler: a move it hides by mistake leaves
  // messages behind, and the end of the run would see that.
  if (sabotage_ == Sabotage::kMissesMoves && rng_.chance(0.05)) return;
  if (filter_->moved(stream.id, clock_.now())) next_run_ = clock_.now();
}

void World::random_event() {
  Stream& stream = *streams_[rng_.below(streams_.size())];
  switch (rng_.below(16)) {
    case 0:
    case 1:
    case 2:
      stream.log->append(static_cast<std::int64_t>(1 + rng_.below(rng_.chance(0.1) ? 100 : 8)));
      moved(stream);
      break;
    case 3:
      stream.log->sync();
      moved(stream);
      break;
    case 4: {
      const std::int64_t oldest = stream.log->oldest().value();
      const std::int64_t durable = stream.log->durable_end().value();
      if (durable > oldest && rng_.chance(0.2)) {
        stream.log->remove_below(oldest + static_cast<std::int64_t>(rng_.below(
                                              static_cast<std::uint64_t>(durable - oldest) + 1)));
        moved(stream);
      }
      break;
    }
    case 5:
      clock_.advance(std::chrono::milliseconds(rng_.below(3'000)));
      break;
    case 6:
      if (rng_.chance(0.2)) clock_.advance(std::chrono::minutes(rng_.below(30)));
      if (rng_.chance(0.1)) clock_.step_wall_ms(rng_.chance(0.5) ? 1'000'000'000 : -1'000'000'000);
      break;
    case 7:
      if (!stream.exports.empty()) {
        Export& item = *stream.exports[rng_.below(stream.exports.size())];
        item.cloud->set_weather(static_cast<Cloud::Weather>(rng_.below(8)));
      }
      break;
    case 8:
      if (rng_.chance(0.15)) {
        random_definition_change(stream);
        define(stream);
        save_definition_change(stream);
      }
      break;
    case 9:
      if (rng_.chance(0.08)) kill_process();
      break;
    case 10:
      if (rng_.chance(0.1)) {
        const std::int64_t from = stream.log->oldest().value();
        const auto span = static_cast<std::uint64_t>(stream.log->durable_end().value() - from + 1);
        const auto at = from + static_cast<std::int64_t>(rng_.below(span));
        stream.log->damage(at, std::min(at + 3, stream.log->durable_end().value()));
      }
      break;
    case 11:
      stream.cursors->fail_saves(rng_.chance(0.1));
      break;
    case 12:
      stream.log->fail_reads(rng_.chance(0.1) ? std::optional(Error{Errc::kIo, "EIO", 5})
                                              : std::nullopt);
      break;
    default:
      work_once();
      break;
  }
}

bool World::work_once() {
  const std::uint64_t which = rng_.below(3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    switch ((which + i) % 3) {
      case 0:
        if (hands_->jobs.empty()) break;
        do_job();
        return true;
      case 1:
        if (answers_.empty()) break;
        report_job();
        return true;
      case 2:
        if (hands_->tasks.empty()) break;
        do_cursor_task();
        return true;
    }
  }
  return false;
}

void World::do_job() {
  auto& jobs = hands_->jobs;
  const auto at = jobs.begin() + static_cast<std::ptrdiff_t>(rng_.below(jobs.size()));
  exporter::Job job = std::move(*at);
  jobs.erase(at);
  if (sabotage_ == Sabotage::kNewBeforeResend && !job.grant.only.empty()) {
    job.grant.from = job.grant.only.back() + 1;
    job.grant.only.clear();
  }
  Delivery delivery = exporter::run_job(job);
  if (sabotage_ == Sabotage::kSkipsOne && !delivery.sent.empty() && rng_.chance(0.05) &&
      delivery.outcome.records.size() == delivery.sent.size() && job.grant.only.empty() &&
      job.log->durable_end() > delivery.next) {
    ++delivery.next;
  }
  answers_.emplace_back(job.id, std::move(delivery));
}

void World::report_job() {
  const auto at = answers_.begin() + static_cast<std::ptrdiff_t>(rng_.below(answers_.size()));
  const auto [id, delivery] = std::move(*at);
  answers_.erase(at);
  scheduler_->delivered(id, delivery);
  next_run_ = clock_.now();
}

void World::do_cursor_task() {
  exporter::CursorTask task = std::move(hands_->tasks.front());
  hands_->tasks.pop_front();
  next_run_ = clock_.now();
  switch (task.kind) {
    case exporter::CursorTask::Kind::kLoad:
      scheduler_->loaded(task.stream, task.store->load());
      break;
    case exporter::CursorTask::Kind::kRemove:
      scheduler_->removed(task.stream, task.store->remove(task.cursor.identifier));
      break;
    case exporter::CursorTask::Kind::kSave:
      if (sabotage_ == Sabotage::kPositionAhead) task.cursor.next = task.cursor.next + 2;
      scheduler_->saved(task.serial, task.revision, task.store->save(task.cursor));
      break;
  }
}

void World::settle() {
  for (int i = 0; next_run_ <= clock_.now(); ++i) {
    next_run_ = scheduler_->run_once();
    if (i > 1'000) {
      violation_ = "the scheduler spins";
      return;
    }
  }
}

// After every step: the reported position is behind what was done and never goes back (E1, E2), and
// nobody waits without a reason.
void World::check() {
  bool somebody_ready = false;
  std::map<std::string, std::size_t> seen;
  for (const auto& view : board_->views()) {
    const std::string name = view.stream_name + "/" + view.config.identifier;
    Stream& stream = *streams_[view.stream_id.value() - 1];
    const std::size_t place_in_order = seen[view.stream_name]++;
    if (place_in_order >= stream.exports.size() ||
        stream.exports[place_in_order]->config.identifier != view.config.identifier) {
      violation_ = name + ": describe shows other exports than defined";
      return;
    }
    Export& item = *stream.exports[place_in_order];
    const std::int64_t position = view.status.last_exported_sequence_number + 1;
    if (item.known && position < item.position) item.cloud->violate("the position went back");
    // While the scheduler has not placed it, the row shows the start.
    item.known = item.known || position > item.cloud->start();
    item.position = position;
    item.cloud->check_position(position);
    const bool placed = view.reason != "reading its saved position";
    if (placed && view.state == exporter::State::kIdle && view.waiting_messages > 0) {
      item.cloud->violate("idle although messages wait");
    }
    if (placed && view.state == exporter::State::kCollecting &&
        view.waiting_messages >= view.config.batch_size.value_or(20)) {
      item.cloud->violate("collecting although a batch is full");
    }
    somebody_ready = somebody_ready || view.state == exporter::State::kReady;
    if (!item.cloud->violation().empty()) {
      violation_ = name + ": " + item.cloud->violation();
      return;
    }
  }
  if (somebody_ready && hands_->jobs.empty() && answers_.empty()) {
    violation_ = "an export is ready and all workers are idle";
  }
}

void World::heal() {
  note("healed");
  for (auto& stream : streams_) {
    stream->log->fail_reads(std::nullopt);
    stream->cursors->fail_saves(false);
    for (Export* item : stream->exports) {
      item->cloud->set_weather(Cloud::Weather::kFine);
      item->config.disabled.reset();
      item->config.batch_interval_ms.reset();
    }
    define(*stream);
    stream->log->sync();
    moved(*stream);
  }
}

// Lets everything happen that can, moving the clock only when nothing else is left to do.
void World::run_dry() {
  const Instant until = clock_.now() + 1h;
  while (violation_.empty()) {
    settle();
    if (!violation_.empty()) return;
    check();
    if (!violation_.empty() || work_once()) continue;
    if (next_run_ == Instant::max() || next_run_ > until) return;
    clock_.advance(next_run_ - clock_.now());
  }
}

void World::check_counters() {
  for (const auto& view : board_->views()) {
    const Export* item = find(view.stream_name, view.config.identifier);
    const std::int64_t position = view.status.last_exported_sequence_number + 1;
    const std::string name = view.stream_name + "/" + view.config.identifier;
    if (view.waiting_messages > 0) {
      violation_ = name + ": " + std::to_string(view.waiting_messages) +
                   " messages were left behind in state " + state_name(view.state);
      return;
    }
    const std::int64_t gone = item->cloud->unaccounted(position);
    const std::int64_t damaged = item->cloud->damaged(position);
    if (gone > view.lost_messages + item->counted_before + damaged) {
      violation_ = name + ": " + std::to_string(gone) + " messages are gone, counted are " +
                   std::to_string(view.lost_messages + item->counted_before + damaged);
      return;
    }
  }
}

std::string World::run(int steps) {
  settle();
  for (int i = 0; i < steps && violation_.empty(); ++i) {
    random_event();
    settle();
    if (violation_.empty()) check();
  }
  if (violation_.empty()) heal();
  if (violation_.empty()) run_dry();
  if (violation_.empty()) check_counters();
  return violation_;
}

std::int64_t World::taken() const {
  std::int64_t sum = 0;
  for (const auto& item : all_exports_) sum += item->cloud->taken();
  return sum;
}

}  // namespace weir::sim
