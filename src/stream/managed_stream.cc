#include "stream/managed_stream.h"

#include "base/log.h"
#include "file/memory_file_system.h"
#include "stream/layout.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace weir::stream {
namespace {

constexpr Duration kIdleFileKept = std::chrono::seconds(10);
constexpr Duration kHintInterval = std::chrono::seconds(1);
constexpr Duration kExpiryInterval = std::chrono::seconds(10);
/// Segments of earlier runs may carry times of a clock that was wrong (reliability.md T2).
constexpr Duration kClockSettles = std::chrono::minutes(5);

std::shared_ptr<StreamFigures> make_figures(const StoredDefinition& stored,
                                            std::shared_ptr<Log> log) {
  auto figures = std::make_shared<StreamFigures>();
  figures->name = stored.definition.name;
  figures->log = std::move(log);
  return figures;
}

}  // namespace

ManagedStream::ManagedStream(Context& context, StoredDefinition stored, RecoveredStream recovered)
    : context_(context),
      stored_(std::move(stored)),
      directory_(layout::stream_directory(stored_.id)),
      files_(context.env.disk),
      log_(std::move(recovered.log)),
      reader_(log_),
      cursors_(std::move(recovered.cursors)),
      figures_(make_figures(stored_, log_)),
      max_size_(stored_.definition.max_size_or_default()),
      next_(recovered.next_at_least),
      seal_last_(recovered.seal_last),
      fault_(std::move(recovered.fault)) {
  state_.emplace(context.env.disk, layout::join(directory_, layout::kStreamState),
                 std::move(recovered.state), recovered.state_slot, recovered.state_durable);
  if (!recovered.state_durable) state_written_ = recovered.state_slot.generation;
  if (recovered.state_durable && state_->state().epoch == context.epoch) {
    durable_bound_ = state_->state().bound;
  }
  if (const auto& last = active()) mark_ = {last, last->end_offset(), last->next()};
  if (!recovered.unsynced.empty()) {
    const auto& first = recovered.unsynced.front();
    mark_ = {first, segment::kHeaderBytes, first->base()};
    for (const auto& segment : recovered.unsynced) {
      if (segment != active()) sealed_.push_back({segment, nullptr});
    }
    active_dirty_ = directory_dirty_ = true;
    dirty_since_ = context.env.clock.now() - std::chrono::hours(1);
  }
  context_.figures->add(figures_);
}

ManagedStream::ManagedStream(Context& context, StoredDefinition stored)
    : context_(context),
      stored_(std::move(stored)),
      directory_(layout::stream_directory(stored_.id)),
      memory_(file::make_memory()),
      files_(*memory_),
      log_(std::make_shared<Log>(context.log_shared, stored_.id, stored_.definition.name)),
      reader_(log_),
      cursors_(std::make_shared<CursorsInMemory>()),
      figures_(make_figures(stored_, log_)),
      max_size_(stored_.definition.max_size_or_default()) {
  context_.figures->add(figures_);
}

ManagedStream::~ManagedStream() {
  if (in_writers_) context_.writers.erase(*in_writers_);
  context_.held_bytes -= copied_bytes_;
  context_.figures->remove(figures_.get());
}

model::StorageStatus ManagedStream::storage_status() const {
  return {log_->oldest().value(), log_->visible_end().value() - 1, log_->total_bytes()};
}

std::string ManagedStream::fault() const { return fault_.empty() ? log_->damage() : fault_; }

const std::shared_ptr<Segment>& ManagedStream::active() const {
  static const std::shared_ptr<Segment> kNone;
  return log_->segments().empty() ? kNone : log_->segments().back();
}

std::int64_t ManagedStream::segment_size() const {
  return std::min(stored_.definition.segment_size_or_default(), max_size_);
}

SequenceNumber ManagedStream::first_number() const {
  // Not `oldest()`: that one waits for messages that are written and not visible yet.
  return log_->segments().empty() ? log_->oldest() : log_->segments().front()->base();
}

bool ManagedStream::reserves() const {
  return state_.has_value() && !stored_.definition.durable_before_answer();
}

// --- retention --------------------------------------------------------------------------------

void ManagedStream::drop_oldest(metrics::Counter& reason) {
  const auto segment = log_->remove_oldest();
  reason.add(static_cast<std::uint64_t>(segment->next() - segment->base()));
  moved_ = true;
  std::erase_if(sealed_, [&](const Sealed& sealed) { return sealed.segment == segment; });
  if (mark_.segment == segment) {
    const auto& first = log_->segments().front();
    mark_ = {first, segment::kHeaderBytes, first->base()};
  }
  if (in_memory()) {
    if (!files_.remove_file(segment->path())) log::debug("A segment in memory was gone.");
    return;
  }
  retired_.push_back(segment);
  note_floor();
  retire();
}

void ManagedStream::trim() {
  while (log_->total_bytes() > max_size_ && log_->segments().size() > 1) {
    drop_oldest(context_.counters.removed_full);
  }
  moved_ = false;
}

/// Writes down what retention removed. From now on a process crash does not bring it back; nor
/// does a power cut once anything newer was synced, because `do_sync` syncs the floor first.
bool ManagedStream::note_floor() {
  StreamState& state = state_->state();
  state.floor = std::max(state.floor, first_number());
  const auto generation = state_->write();
  if (generation) state_written_ = *generation;
  return generation.has_value();
}

/// Removes what retention took out, on the syncer thread. The floor goes first, and durably: no
/// crash may bring back an old message while a newer one is gone.
void ManagedStream::retire() {
  if (retiring_ || retired_.empty() || !state_) return;
  if (state_->state().floor < first_number() && !note_floor()) return;  // `tick` tries again
  retiring_ = true;
  auto segments = std::make_shared<std::vector<std::shared_ptr<Segment>>>(std::move(retired_));
  retired_.clear();
  context_.syncer.submit(
      Syncer::Urgency::kPeriodic, [self = shared_from_this(), segments, number = state_written_] {
        file::FileSystem& disk = self->context_.env.disk;
        auto outcome = StateKeeper::sync(disk, self->state_->path());
        const bool floor_durable = outcome.has_value();
        if (floor_durable) {
          std::erase_if(*segments, [&](const auto& segment) {
            self->context_.files.forget(segment->path());
            const auto removed = disk.remove_file(segment->path());
            return removed || removed.error().code == Errc::kNotFound;
          });
          outcome = disk.sync_directory(self->directory_);
        }
        return [self, segments, number, floor_durable] {
          self->retiring_ = false;
          if (floor_durable) {
            self->state_->synced(number);
            self->state_synced_ = std::max(self->state_synced_, number);
          }
          self->retired_.insert(self->retired_.begin(), segments->begin(), segments->end());
          // What failed waits for `tick`; what came meanwhile goes on at once.
          if (segments->empty()) self->retire();
        };
      });
}

bool ManagedStream::expired(const Segment& segment, Instant now) const {
  const auto& ttl = stored_.definition.time_to_live_ms;
  if (!ttl || segment.empty()) return false;
  // Never overflows: both are within int64 and the difference saturates.
  std::int64_t age_ms = 0;
  if (__builtin_sub_overflow(context_.env.clock.wall_ms(), segment.newest_append_ms, &age_ms)) {
    age_ms = context_.env.clock.wall_ms() < 0 ? std::numeric_limits<std::int64_t>::min()
                                              : std::numeric_limits<std::int64_t>::max();
  }
  if (age_ms <= *ttl) return false;
  if (segment.last_append == Instant{}) return now - context_.started >= kClockSettles;
  const auto monotonic_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - segment.last_append).count();
  return monotonic_ms > *ttl;
}

void ManagedStream::expire(Instant now) {
  expiry_checked_ = now;
  if (busy_ || removing_ || !fault_.empty()) return;
  while (!log_->segments().empty() && expired(*log_->segments().front(), now)) {
    if (log_->segments().size() == 1) {
      // An idle stream drains too: a new, empty segment keeps the numbers.
      if (!prepare(Step::kRoll)) return;
      auto rolled = do_roll();
      finish(Step::kRoll, 0, std::move(rolled));
      if (log_->segments().size() == 1) return;
    }
    drop_oldest(context_.counters.removed_ttl);
  }
  after_steps();
}

// --- periodic ---------------------------------------------------------------------------------

void ManagedStream::tick(Instant now) {
  if (in_memory()) {
    if (stored_.definition.time_to_live_ms && now - expiry_checked_ >= kExpiryInterval) expire(now);
    return;
  }
  if (removing_) return;
  if (hint_due_ && now - written_at_ >= kHintInterval / 2) {
    hint_due_ = false;
    state_->state().durable = log_->durable_end();
    if (const auto written = state_->write(); !written) hint_due_ = true;
  }
  if (!retired_.empty()) retire();
  rescue_if_due(now);
  if (stored_.definition.time_to_live_ms && now - expiry_checked_ >= kExpiryInterval) expire(now);
  if (writer_ && now - written_at_ >= kIdleFileKept) release_writer();
}

bool ManagedStream::release_writer() {
  if (!writer_) {
    if (in_writers_) context_.writers.erase(*in_writers_);
    in_writers_.reset();
    return true;
  }
  // While a rescue waits, the only good copy may be an open file that lost its name.
  if (busy_ || syncing_ || rescuing_ || rescue_again_ || waits_for_sync()) return false;
  if (writer_->usable()) {
    if (const auto cut = writer_->cut_zeros(); !cut) {
      log::debug("Zeros written ahead were not cut off.", {{"error", cut.error().what}});
    }
  } else {
    seal_last_ = true;
  }
  if (const auto& last = active()) last->set_file(nullptr);
  writer_.reset();
  if (in_writers_) context_.writers.erase(*in_writers_);
  in_writers_.reset();
  return true;
}

// --- life -------------------------------------------------------------------------------------

void ManagedStream::apply_limits(std::int64_t max_size) { max_size_ = max_size; }

void ManagedStream::apply(model::StreamDefinition definition) {
  stored_.definition = std::move(definition);
  max_size_ = stored_.definition.max_size_or_default();
}

void ManagedStream::begin_removal() {
  removing_ = true;
  advance();
}

void ManagedStream::undo_removal() { removing_ = false; }

void ManagedStream::finish_removal() {
  log_->mark_deleted();
  if (auto* files = dynamic_cast<CursorFiles*>(cursors_.get())) files->mark_deleted();
  if (auto* memory = dynamic_cast<CursorsInMemory*>(cursors_.get())) memory->mark_deleted();
  fail_all({Errc::kNotFound, "the stream was deleted", 0});
  context_.figures->remove(figures_.get());
  if (!busy_) {
    if (const auto& last = active()) last->set_file(nullptr);
    writer_.reset();
  }
  if (in_writers_) context_.writers.erase(*in_writers_);
  in_writers_.reset();
}

void ManagedStream::fail_all(const Error& why) {
  fail_waiters(why);
  if (!busy_) reject(entries_.size() - head_, why, context_.counters.rejected_fault);
}

bool ManagedStream::dirty() const {
  return fault_.empty() && (active_dirty_ || directory_dirty_ || !sealed_.empty());
}

bool ManagedStream::close() {
  if (in_memory()) return true;
  bool good = fault_.empty() && retired_.empty() && !dirty();
  fail_all({Errc::kIo, "weir is stopping", 0});
  if (rescuing_ || busy_) return false;
  if (writer_) {
    const bool had_zeros = writer_->usable() && writer_->zeros_ready() > 0;
    auto file = writer_->file();
    good = release_writer() && good;
    if (had_zeros) cut_ = std::move(file);
  }
  return store_end() && good;
}

/// Says exactly where the log ends, unless the state file says so already.
bool ManagedStream::store_end() {
  StreamState& state = state_->state();
  const StreamState before = state;
  const auto& last = active();
  // A last segment that nothing may be appended to is looked at again.
  state.last_base = last && !seal_last_ ? last->base() : SequenceNumber(-1);
  state.last_end_offset = last ? last->end_offset() : 0;
  state.last_newest_append_ms = last ? last->newest_append_ms : 0;
  state.next = last ? last->next() : SequenceNumber(0);
  // Numbers behind the end may have been shown, though what had them is lost.
  if (next_ > state.next) state.at_least = std::max(state.at_least, next_);
  state.durable = log_->durable_end();
  state.floor = std::max(state.floor, first_number());
  if (state == before && state_->durable()) return true;
  return state_->write().has_value();
}

bool ManagedStream::confirm_close() {
  if (in_memory()) return true;
  if (cut_ && !cut_->sync()) return false;
  return state_->durable() || StateKeeper::sync(context_.env.disk, state_->path()).has_value();
}

}  // namespace weir::stream
