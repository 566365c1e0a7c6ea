#include "exporter/scheduler.h"

#include "base/check.h"
#include "base/log.h"
#include "exporter/scheduler_state.h"
#include "exporter/stored_notes.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace weir::exporter {
namespace {

// A position that cannot be saved is tried again this much later at the earliest.
constexpr Duration kSaveRetry = std::chrono::seconds(1);

// A worker stays with one export for so many batches and so long while its answers come at once;
// then whoever waits has its turn. A service that takes longer gets one batch a job.
constexpr std::int64_t kStayBatchesMax = 64;
constexpr Duration kStayAtMost = std::chrono::milliseconds(20);

Exporter::Timing timing_of(const Options& options) {
  return {{std::chrono::milliseconds(options.backoff_first_ms),
           std::chrono::milliseconds(options.backoff_ceiling_ms)},
          std::chrono::milliseconds(options.operator_retry_min_ms)};
}

}  // namespace

Scheduler::Scheduler(const Options& options, Environment environment)
    : options_(options), environment_(std::move(environment)), rng_(environment_.random_seed) {}
Scheduler::~Scheduler() = default;

void Scheduler::set_exports(StreamId id, const std::string& stream_name,
                            std::shared_ptr<stream::LogReader> log,
                            std::shared_ptr<stream::CursorStore> cursors,
                            std::vector<Engine::Wanted> wanted, SequenceNumber oldest,
                            SequenceNumber end) {
  auto& slot = streams_[id];
  const bool is_new = slot == nullptr;
  if (is_new) slot = std::make_unique<StreamState>();
  StreamState& stream = *slot;
  stream.id = id;
  stream.name = stream_name;
  stream.log = std::move(log);
  stream.cursors = std::move(cursors);
  if (is_new) {
    stream.had_messages = end > SequenceNumber(0);
    stream.defined_oldest = oldest;
    stream.settling.begin();
    environment_.hands.keep(
        {CursorTask::Kind::kLoad, id, 0, 0, stream_name, stream.cursors, stream::Cursor{}});
  }
  if (stream.loading) {
    stream.wanted = std::move(wanted);
    return;
  }
  stream.defined_oldest = oldest;
  apply_wanted(stream, std::move(wanted), nullptr);
}

void Scheduler::set_options(const Options& options) {
  const std::int64_t workers = options_.worker_count;
  options_ = options;
  options_.worker_count = workers;
  for (const auto& [serial, item] : exports_) item->machine.set_timing(timing_of(options_));
}

void Scheduler::loaded(StreamId id, const std::vector<stream::Cursor>& cursors) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second->loading) return;
  StreamState& stream = *found->second;
  stream.loading = false;
  for (const stream::Cursor& cursor : cursors) {
    const bool kept =
        std::any_of(stream.wanted.begin(), stream.wanted.end(),
                    [&](const auto& want) { return want.config.identifier == cursor.identifier; });
    if (!kept) forget_position(stream, cursor);
  }
  apply_wanted(stream, std::exchange(stream.wanted, {}), &cursors);
  stream.settling.end({});
}

void Scheduler::forget_position(StreamState& stream, const stream::Cursor& cursor) {
  environment_.reporter.removed(stream.name, cursor.identifier);
  stream.settling.begin();
  environment_.hands.keep(
      {CursorTask::Kind::kRemove, stream.id, 0, 0, stream.name, stream.cursors, cursor});
}

void Scheduler::apply_wanted(StreamState& stream, std::vector<Engine::Wanted> wanted,
                             const std::vector<stream::Cursor>* saved) {
  std::map<std::string, std::uint64_t> old;
  for (const std::uint64_t serial : stream.serials) {
    old.emplace(exports_.at(serial)->machine.config().identifier, serial);
  }
  stream.serials.clear();
  for (auto& want : wanted) {
    const auto known = old.find(want.config.identifier);
    if (known == old.end()) {
      add_export(stream, std::move(want), saved);
      continue;
    }
    const std::uint64_t serial = known->second;
    old.erase(known);
    Export& item = *exports_.at(serial);
    if (item.machine.config().type == want.config.type) {
      stream.serials.push_back(serial);
      change_export(stream, item, std::move(want));
    } else {
      drop_export(stream, serial, true);
      add_export(stream, std::move(want), nullptr);
    }
  }
  for (const auto& [identifier, serial] : old) drop_export(stream, serial, true);
  stream.interest.reset();
  if (stream.serials.empty()) {
    environment_.filter.remove(stream.id);
  } else {
    environment_.filter.add(stream.id, stream.log);
  }
  touched_.insert(stream.id);
}

void Scheduler::add_export(StreamState& stream, Engine::Wanted want,
                           const std::vector<stream::Cursor>* saved) {
  std::optional<stream::Cursor> cursor;
  if (saved != nullptr) cursor = cursor_of(want.config.identifier, *saved);
  const std::uint64_t serial = ++last_serial_;
  Exporter machine(std::move(want.config), cursor, timing_of(options_), rng_.next());
  // A position that was read is saved already, unless it was moved since; a fresh one need not be.
  const std::uint64_t saved_revision = cursor ? 0 : machine.revision();
  auto& item = exports_[serial];
  item = std::make_unique<Export>(serial, stream.id, std::move(machine), saved_revision);
  if (cursor && item->machine.next() != cursor->next) item->was_moved();
  // Perhaps the earlier process left out what it had begun, and ended before it said so.
  item->passed = cursor.has_value();
  item->route = want.route;
  item->options = want.options;
  stream.serials.push_back(serial);
  make_destination(stream, *item);
  place(stream, *item);
  const bool restored = cursor && cursor->type == item->machine.config().type;
  const bool expected = saved != nullptr && stream.had_messages;
  environment_.reporter.started(stream.name, item->machine, restored, expected);
}

void Scheduler::change_export(StreamState& stream, Export& item, Engine::Wanted want) {
  const SequenceNumber before = item.machine.next();
  const bool elsewhere = std::exchange(item.route, want.route) != want.route;
  const bool otherwise = std::exchange(item.options, want.options) != want.options;
  const auto changed =
      item.machine.redefine(std::move(want.config), environment_.clock.now(), elsewhere);
  item.priority->store(item.machine.priority());
  if ((changed.repositioned || changed.other_destination) && item.job != 0) {
    running_.at(item.job).stop.request_stop();
  }
  if (changed.other_destination) {
    // What it began where it led until now, nobody would end.
    if (elsewhere && item.destination) {
      const auto nothing = std::make_shared<Farewell>(
          Farewell{Batch(stream.name, item.machine.config().identifier), 0, {}});
      say_farewell(stream, item, nothing);
    }
    item.destination.reset();
    item.idle_deadline = Instant::max();
    item.anew = false;
  } else if (otherwise) {
    make_destination_anew(stream, item);
  }
  if (!item.destination) make_destination(stream, item);
  if (changed.repositioned) {
    environment_.reporter.repositioned(stream.name, item.machine, before);
    item.was_moved();
    item.passed = item.machine.next() > before;
  }
  place(stream, item);
  // A start that lies beyond the end is kept by the definition alone.
  if (changed.repositioned && item.machine.worth_saving()) {
    stream.settling.moved(item.serial, item.machine.revision());
  }
}

// The first look finds what was there when the export was defined, the second what is there now:
// only what was removed in between is lost.
void Scheduler::place(StreamState& stream, Export& item) {
  const std::int64_t lost = item.machine.log_moved(stream.defined_oldest, stream.log->durable_end(),
                                                   environment_.clock.now());
  environment_.reporter.overtaken(stream.name, item.machine, lost);
  if (lost > 0) item.passed = true;
  look(stream, item);
}

void Scheduler::make_destination(StreamState& stream, Export& item) {
  const model::ExportConfig& config = item.machine.config();
  if (config.disabled.value_or(false)) return;
  const Instant now = environment_.clock.now();
  auto made = environment_.factory(
      {stream.name, config, std::make_shared<StoredNotes>(stream.cursors, config.identifier),
       item.priority});
  if (!made) {
    item.machine.destination_failed(
        log::escaped(made.error().what), now,
        made.error().code == Errc::kNotFound ? State::kServiceRetired : State::kBroken);
    environment_.reporter.broken(stream.name, item.machine);
    return;
  }
  item.destination = std::move(*made);
  item.host = item.destination->host();
  item.idle_deadline = item.destination->idle_deadline();
  item.machine.destination_made(item.destination->limits(), now);
}

// Where it goes is the same, so what is under way ends and counts; one call of a destination at a
// time, also where two objects stand for the same place.
void Scheduler::make_destination_anew(StreamState& stream, Export& item) {
  item.anew = item.job != 0;
  if (item.anew) return;
  item.destination.reset();
  item.idle_deadline = Instant::max();
  make_destination(stream, item);
  // Perhaps the options were what was wrong.
  item.machine.retry_now(environment_.clock.now());
}

void Scheduler::drop_export(StreamState& stream, std::uint64_t serial, bool forget) {
  const auto found = exports_.find(serial);
  Export& item = *found->second;
  unindex(item);
  if (item.job != 0) running_.at(item.job).stop.request_stop();
  const auto left = stream.left_behind.find(item.machine.config().identifier);
  say_farewell(stream, item, left == stream.left_behind.end() ? nullptr : left->second);
  if (forget) forget_position(stream, item.machine.cursor());
  stream.settling.forget(serial);
  exports_.erase(found);
}

void Scheduler::remove_stream(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  for (const std::uint64_t serial : found->second->serials) {
    drop_export(*found->second, serial, false);
  }
  environment_.filter.remove(id);
  found->second->settling.finish({});
  streams_.erase(found);
  touched_.erase(id);
}

void Scheduler::when_settled(StreamId id, Settling::Done done) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) {
    done({});
    return;
  }
  found->second->settling.wait([done = std::move(done)](const Result<void>& stored) {
    done(stored ? stored
                : Result<void>(fail(with_context(
                      "the definition is stored, but not everything that follows from it",
                      stored.error()))));
  });
}

void Scheduler::give_up_settling() {
  for (const auto& [id, stream] : streams_) {
    stream->settling.finish(fail(Errc::kCancelled, "weir is stopping"));
  }
}

void Scheduler::removed(StreamId id, const Result<void>& outcome) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  // There may never have been one on disk.
  const bool gone = outcome || outcome.error().code == Errc::kNotFound;
  found->second->settling.end(
      gone ? Result<void>()
           : Result<void>(fail(with_context(
                 "the old position of a removed export could not be deleted", outcome.error()))));
}

void Scheduler::delivered(std::uint64_t job_id, const Delivery& delivery) {
  const auto job = running_.find(job_id);
  WEIR_CHECK(job != running_.end(), "a delivery ends once");
  const std::uint64_t serial = job->second.serial;
  const bool idle_visit = job->second.idle_visit;
  const std::weak_ptr<Destination> destination = job->second.destination;
  reserved_bytes_ -= job->second.reserved_bytes;
  if (idle_visit) visiting_ = false;
  std::optional<Job> then = std::move(job->second.then);
  const std::optional<Leaving> farewell = std::move(job->second.farewell);
  running_.erase(job);
  if (farewell) farewell_ended(*farewell);
  if (then) queue_farewell(std::move(*then));
  environment_.reporter.under_way(running_.size(), reserved_bytes_);
  const auto found = exports_.find(serial);
  if (found == exports_.end()) return;  // removed meanwhile
  Export& item = *found->second;
  StreamState& stream = *streams_.at(item.stream);
  item.job = 0;
  if (!destination.owner_before(item.destination) && !item.destination.owner_before(destination)) {
    item.idle_deadline = delivery.idle_deadline;
  }
  if (idle_visit) {
    if (item.anew) make_destination_anew(stream, item);
    look(stream, item);
    return;
  }
  const auto settled =
      item.machine.finish(delivery, environment_.clock.now(), environment_.clock.wall_ms());
  environment_.reporter.settled(stream.name, item.machine, settled);
  if (settled.lost_messages > 0) item.passed = true;
  // Asked for while this was under way.
  if (item.forgive_refusals) item.machine.retry_now(environment_.clock.now());
  if (item.anew) make_destination_anew(stream, item);
  look(stream, item);
  using Ended = Exporter::Result;
  if (settled.result == Ended::kSucceeded || settled.result == Ended::kPartial) {
    wake_host(item.host);
    const auto used = destination.lock();
    if (used && used->uses_credentials()) wake_those_without_keys();
  }
}

void Scheduler::wake_host(const std::string& host) {
  const auto waiting = waiting_for_host_.find(host);
  if (host.empty() || waiting == waiting_for_host_.end()) return;
  const auto serials = waiting->second;  // `index` takes each out of the set
  for (const std::uint64_t serial : serials) {
    Export& item = *exports_.at(serial);
    item.machine.host_works(environment_.clock.now());
    index(item);
  }
}

void Scheduler::wake_those_without_keys() {
  const auto serials = waiting_for_keys_;  // `index` takes each out of the set
  for (const std::uint64_t serial : serials) {
    Export& item = *exports_.at(serial);
    item.machine.keys_work(environment_.clock.now());
    index(item);
  }
}

void Scheduler::look(StreamState& stream, Export& item) {
  const std::int64_t lost = item.machine.log_moved(stream.log->oldest(), stream.log->durable_end(),
                                                   environment_.clock.now());
  environment_.reporter.overtaken(stream.name, item.machine, lost);
  if (lost > 0) item.passed = true;
  index(item);
}

void Scheduler::look(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  for (const std::uint64_t serial : found->second->serials) {
    look(*found->second, *exports_.at(serial));
  }
}

void Scheduler::unindex(Export& item) {
  if (item.ready) ready_.erase(*std::exchange(item.ready, std::nullopt));
  if (item.deadline) deadlines_.erase(*std::exchange(item.deadline, std::nullopt));
  if (item.save_time) save_times_.erase(*std::exchange(item.save_time, std::nullopt));
  if (item.visit) visits_.erase(*std::exchange(item.visit, std::nullopt));
  waiting_for_keys_.erase(item.serial);
  if (item.waits_for) {
    const auto waiting = waiting_for_host_.find(*std::exchange(item.waits_for, std::nullopt));
    waiting->second.erase(item.serial);
    if (waiting->second.empty()) waiting_for_host_.erase(waiting);
  }
}

void Scheduler::index(Export& item) {
  const auto ready = item.ready;
  unindex(item);
  const Exporter& machine = item.machine;
  const bool held_back = is_leaving(item);
  if (held_back) held_back_.insert(item.stream);
  // One call of a destination at a time: during an idle visit nothing is granted.
  if (machine.state() == State::kReady && item.job == 0 && !waits_for_save(item) && !held_back) {
    // Whoever was ready before keeps its turn.
    const std::uint64_t ticket = ready ? std::get<1>(*ready) : ++last_ticket_;
    item.ready = ReadyKey{machine.priority(), ticket, item.serial};
    ready_.insert(*item.ready);
  }
  if (const Instant at = machine.deadline(); at != Instant::max()) {
    item.deadline = Timer{at, item.serial};
    deadlines_.insert(*item.deadline);
  }
  if (item.destination && item.job == 0 && !held_back) {
    const bool passed = wants_to_hear_of_passed(item);
    const Instant visit = passed ? Instant{} : item.idle_deadline;
    if (visit != Instant::max()) {
      item.visit = Timer{visit, item.serial};
      visits_.insert(*item.visit);
    }
  }
  if (machine.waits_for_host() && !item.host.empty()) {
    item.waits_for = item.host;
    waiting_for_host_[item.host].insert(item.serial);
  }
  if (machine.waits_for_keys()) waiting_for_keys_.insert(item.serial);
  plan_save(item);
  environment_.board.publish(item.stream, machine);
  touched_.insert(item.stream);
}

Result<void> carry_out(const CursorTask& task) {
  if (task.kind != CursorTask::Kind::kSave) return task.store->remove(task.cursor.identifier);
  // First, so that no crash leaves a moved position with a note that contradicts it.
  if (task.moved) WEIR_RETURN_IF_ERROR(mark_moved(*task.store, task.cursor.identifier));
  return task.store->save(task.cursor);
}

void Scheduler::plan_save(Export& item) {
  if (item.saving || item.machine.revision() == item.saved_revision) return;
  if (!item.machine.worth_saving()) return;
  // What a delivery under way notes after the move was marked would be believed.
  if (waits_for_save(item) && item.job != 0 && !closing_) return;
  item.save_time = Timer{item.save_soon ? Instant{} : item.next_save, item.serial};
  save_times_.insert(*item.save_time);
}

void Scheduler::save_due(Instant now) {
  while (!save_times_.empty() && save_times_.begin()->first <= now) {
    Export& item = *exports_.at(save_times_.begin()->second);
    save(item, now);
  }
}

void Scheduler::save(Export& item, Instant now) {
  if (item.save_time) save_times_.erase(*std::exchange(item.save_time, std::nullopt));
  const StreamState& stream = *streams_.at(item.stream);
  item.saving = true;
  item.save_soon = false;
  item.next_save = now + std::chrono::milliseconds(options_.cursor_save_interval_ms);
  ++saves_under_way_;
  environment_.hands.keep({CursorTask::Kind::kSave, item.stream, item.serial,
                           item.machine.revision(), stream.name, stream.cursors,
                           item.machine.cursor(), item.move_unsaved()});
}

void Scheduler::saved(std::uint64_t serial, std::uint64_t revision, const Result<void>& outcome) {
  --saves_under_way_;
  const auto found = exports_.find(serial);
  if (found == exports_.end()) return;
  Export& item = *found->second;
  item.saving = false;
  const bool held = waits_for_save(item);
  StreamState& stream = *streams_.at(item.stream);
  const std::string& identifier = item.machine.config().identifier;
  environment_.reporter.cursor_saved(stream.name, identifier, outcome);
  // A stream that is deleted needs no positions; everything else is tried again.
  if (outcome || outcome.error().code == Errc::kNotFound || closing_) {
    item.saved_revision = revision;
  } else {
    item.next_save = std::max(item.next_save, environment_.clock.now() + kSaveRetry);
  }
  stream.settling.saved(
      serial, revision,
      outcome ? outcome
              : Result<void>(fail(with_context("the position of export '" + identifier +
                                                   "' could not be stored and is tried again",
                                               outcome.error()))));
  held ? index(item) : plan_save(item);
}

Instant Scheduler::run_once() {
  const Instant now = environment_.clock.now();
  for (const StreamId id : environment_.filter.take()) look(id);
  serve_deadlines(now);
  grant(now);
  save_due(now);
  if (tell_interest()) return now;
  Instant next = Instant::max();
  if (!deadlines_.empty()) next = std::min(next, deadlines_.begin()->first);
  if (!save_times_.empty()) next = std::min(next, save_times_.begin()->first);
  // One that is due already waits for the end of a job, not for the time.
  const auto visit = visits_.upper_bound(Timer{now, std::numeric_limits<std::uint64_t>::max()});
  if (visit != visits_.end()) next = std::min(next, visit->first);
  return next;
}

void Scheduler::serve_deadlines(Instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Export& item = *exports_.at(deadlines_.begin()->second);
    item.machine.tick(now);
    look(*streams_.at(item.stream), item);
  }
}

void Scheduler::grant(Instant now) {
  while (granting_ && running_.size() < static_cast<std::size_t>(options_.worker_count)) {
    if (visit_due(now)) {
      start_visit(*exports_.at(visits_.begin()->second));
      continue;
    }
    if (ready_.empty()) return;
    Export& item = *exports_.at(std::get<2>(*ready_.begin()));
    const std::int64_t bytes = std::min(item.machine.batch_bytes(), options_.batch_budget_bytes);
    // Nobody overtakes: a big batch of high priority gets its memory when the others are done.
    if (reserved_bytes_ + bytes > options_.batch_budget_bytes) return;
    start(item, bytes, now);
  }
}

// What has notes is told nothing and granted nothing before they are marked as those of before the
// move. Others go on also where nothing can be saved, as on a full disk.
bool Scheduler::waits_for_save(const Export& item) {
  return item.move_unsaved() && item.destination && item.destination->wants_farewell();
}

bool Scheduler::wants_to_hear_of_passed(const Export& item) {
  return item.passed && item.destination->wants_farewell() && !waits_for_save(item);
}

// Visits and deliveries take turns, so that neither ten thousand files to close nor a backlog
// holds the other up; one visit at a time leaves the other workers to the deliveries.
bool Scheduler::visit_due(Instant now) const {
  if (visiting_ || visits_.empty() || visits_.begin()->first > now) return false;
  return ready_.empty() || !visited_last_;
}

void Scheduler::start_visit(Export& item) {
  visiting_ = true;
  visited_last_ = true;
  Job job;
  job.idle_visit = true;
  if (wants_to_hear_of_passed(item)) {
    job.passed = true;
    job.moved = std::exchange(item.tell_moved, false);
    job.grant.from = item.machine.next();
    item.passed = false;
  }
  hand_out(item, std::move(job));
}

void Scheduler::start(Export& item, std::int64_t reserved_bytes, Instant now) {
  visited_last_ = false;
  Job job;
  job.grant = item.machine.take(now);
  job.moved = std::exchange(item.tell_moved, false);
  job.forgive_refusals = std::exchange(item.forgive_refusals, false);
  job.log = streams_.at(item.stream)->log;
  job.reserved_bytes = reserved_bytes;
  job.may_exceed_reservation = reserved_bytes == options_.batch_budget_bytes;
  if (job.grant.only.empty() && item.destination->prepares()) {
    job.stay = {kStayBatchesMax, kStayAtMost, may_look_ahead(reserved_bytes)};
  }
  hand_out(item, std::move(job));
}

// A second batch in memory is for an export that has the cores to itself: where others wait for a
// worker, all are busy anyway, and half of the memory is always left for first batches.
bool Scheduler::may_look_ahead(std::int64_t batch_bytes) const {
  const bool nobody_waits = ready_.size() <= 1;  // the one that is being granted
  return nobody_waits && reserved_bytes_ + 2 * batch_bytes <= options_.batch_budget_bytes / 2;
}

void Scheduler::hand_out(Export& item, Job job) {
  job.id = ++last_job_;
  job.stream_name = streams_.at(item.stream)->name;
  job.identifier = item.machine.config().identifier;
  job.destination = item.destination;
  const std::int64_t reserved_bytes = job.reserved_bytes * (job.stay.looks_ahead ? 2 : 1);
  auto& running = running_[job.id];
  running = {item.serial,    reserved_bytes, std::stop_source(), item.destination,
             job.idle_visit, std::nullopt,   std::nullopt};
  job.stop = running.stop.get_token();
  item.job = job.id;
  reserved_bytes_ += reserved_bytes;
  index(item);
  environment_.reporter.under_way(running_.size(), reserved_bytes_);
  environment_.hands.deliver(std::move(job));
}

MoveFilter::Interest Scheduler::interest_of(const StreamState& stream) const {
  MoveFilter::Interest interest;
  for (const std::uint64_t serial : stream.serials) {
    const Exporter& machine = exports_.at(serial)->machine;
    interest.end = std::min(interest.end, machine.wake_end());
    interest.oldest = std::min(interest.oldest, machine.wake_oldest());
    interest.look_again = std::min(interest.look_again, machine.look_again());
  }
  return interest;
}

// Sets what the filter reports, then looks whether it came too late. True if so.
bool Scheduler::tell_interest() {
  bool late = false;
  for (const StreamId id : std::exchange(touched_, {})) {
    const auto found = streams_.find(id);
    if (found == streams_.end() || found->second->serials.empty()) continue;
    StreamState& stream = *found->second;
    const auto interest = interest_of(stream);
    if (stream.interest == interest) continue;
    environment_.filter.set_interest(id, interest);
    stream.interest = interest;
    if (stream.log->durable_end() >= interest.end || stream.log->oldest() > interest.oldest) {
      late = true;
      look(id);
    }
  }
  return late;
}

void Scheduler::stop_granting() {
  granting_ = false;
  for (auto& [id, running] : running_) {
    if (!running.farewell) running.stop.request_stop();
  }
}

void Scheduler::save_all() {
  closing_ = true;
  const Instant now = environment_.clock.now();
  for (const auto& [serial, item] : exports_) index(*item);
  while (!save_times_.empty()) save(*exports_.at(save_times_.begin()->second), now);
}

}  // namespace weir::exporter
