#include "base/check.h"
#include "base/log.h"
#include "stream/layout.h"
#include "stream/managed_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace weir::stream {
namespace {

constexpr auto kOverhead = static_cast<std::int64_t>(segment::kRecordOverheadBytes);
/// Payloads held in memory because disks are slow, all streams together.
constexpr std::uint64_t kHeldBytesMax = 64 * 1024 * 1024;
/// More complete segments than this waiting for a sync: the disk does not keep up.
constexpr std::size_t kUnsyncedSegmentsMax = 16;
/// Writes that come after each other sooner than this are worth memory of their own.
constexpr Duration kOften = std::chrono::seconds(1);

std::int64_t stored_bytes(Bytes payload) {
  return static_cast<std::int64_t>(payload.size()) + kOverhead;
}

/// What is full, in words that are the same on every system (reliability.md F1).
Error cannot_store(Error error) {
  const char* text = nullptr;
  switch (error.os_errno) {
    case ENOSPC:
      text = "no space left on device";
      break;
    case EDQUOT:
      text = "disk quota exceeded";
      break;
    case EFBIG:
      text = "file too large";
      break;
    case EROFS:
      text = "read-only file system";
      break;
    default:
      break;
  }
  if (text != nullptr) {
    error.what = std::string("the message cannot be stored: ") + text;
  } else {
    error = with_context("the message cannot be stored", std::move(error));
  }
  error.code = Errc::kIo;
  return error;
}

}  // namespace

bool ManagedStream::stage(Bytes payload, std::uint64_t token) {
  // Also behind messages that wait for the syncer: those are copied already, this one is not yet.
  const bool first = std::max(head_, owned_until_) == entries_.size();
  entries_.push_back({-1, payload});
  tokens_.push_back(token);
  return first;
}

void ManagedStream::commit() {
  advance();
  if (head_ < entries_.size()) keep_copies();
}

void ManagedStream::advance() {
  if (advancing_) return;
  advancing_ = true;
  while (!busy_) {
    const Todo todo = next_step();
    if (todo.step == Step::kNone) break;
    run(todo);
  }
  advancing_ = false;
  after_steps();
}

void ManagedStream::after_steps() {
  if (head_ == entries_.size()) {
    entries_.clear();
    tokens_.clear();
    head_ = owned_until_ = stamped_until_ = 0;
  } else if (head_ > 4'096 && head_ > entries_.size() / 2) {
    const auto decided = static_cast<std::ptrdiff_t>(head_);
    entries_.erase(entries_.begin(), entries_.begin() + decided);
    tokens_.erase(tokens_.begin(), tokens_.begin() + decided);
    owned_until_ -= std::min(owned_until_, head_);
    stamped_until_ -= std::min(stamped_until_, head_);
    head_ = 0;
  }
  if (std::exchange(moved_, false)) context_.env.observer.visible_moved(*this);
}

/// Rejects what cannot be stored and says what to do for the first message that perhaps can.
ManagedStream::Todo ManagedStream::next_step() {
  while (head_ < entries_.size()) {
    for (std::size_t i = std::max(head_, stamped_until_); i < entries_.size(); ++i) {
      entries_[i].append_ms = context_.wall_ms;
    }
    stamped_until_ = entries_.size();
    const std::int64_t need = stored_bytes(entries_[head_].payload);
    if (removing_) {
      reject(1, {Errc::kNotFound, "the stream was deleted", 0}, context_.counters.rejected_fault);
      continue;
    }
    if (need > max_size_) {
      reject(1,
             {Errc::kFull,
              "the message can never fit: it takes " + std::to_string(need) +
                  " bytes and the stream holds at most " + std::to_string(max_size_),
              0},
             context_.counters.rejected_too_large);
      continue;
    }
    if (!fault_.empty()) {
      reject(1, {Errc::kIo, fault_, EIO}, context_.counters.rejected_fault);
      continue;
    }
    Todo todo;
    if (!has_space(need, todo) || !make_room(need, todo)) {
      if (todo.step == Step::kAgain) continue;
      return todo;
    }
    if (reserves() && next_ >= durable_bound_) return {Step::kReserve, 0};
    if (must_roll(need)) return {Step::kRoll, 0};
    return {Step::kWrite, run_length()};
  }
  return {};
}

/// Room on the disk. While it is nearly full, a stream that overwrites lives on the space it frees
/// itself (reliability.md F6).
bool ManagedStream::has_space(std::int64_t need, Todo& todo) {
  if (in_memory() || !context_.space.low()) return true;
  context_.space.look(context_.env.clock.now());
  if (!context_.space.low()) return true;
  todo.step = Step::kAgain;
  if (stored_.definition.strategy_on_full == model::StrategyOnFull::kOverwriteOldestData) {
    while (space_credit_ < need && log_->segments().size() > 1) {
      space_credit_ += log_->segments().front()->record_bytes();
      drop_oldest(context_.counters.removed_low_space);
    }
    if (space_credit_ >= need) {
      todo.step = Step::kNone;
      return true;
    }
    if (active() && active()->record_bytes() >= need) {
      todo.step = Step::kRoll;
      return false;
    }
  }
  reject(1, {Errc::kIo, "the message cannot be stored: " + context_.space.text(), ENOSPC},
         context_.counters.rejected_low_space);
  return false;
}

/// Room in the stream.
bool ManagedStream::make_room(std::int64_t need, Todo& todo) {
  while (log_->total_bytes() > max_size_ - need) {
    if (stored_.definition.strategy_on_full == model::StrategyOnFull::kRejectNewData) {
      reject(1, {Errc::kFull, "the message stream is full", 0}, context_.counters.rejected_full);
      todo.step = Step::kAgain;
      return false;
    }
    if (log_->segments().size() == 1) {
      todo.step = Step::kRoll;
      return false;
    }
    drop_oldest(context_.counters.removed_full);
  }
  return true;
}

bool ManagedStream::must_roll(std::int64_t need) const {
  const auto& last = active();
  if (!last || seal_last_ || last->next() != next_) return true;
  if (writer_ && !writer_->usable()) return true;
  return !last->empty() && last->record_bytes() > segment_size() - need;
}

/// How many of the staged messages go out together, the first one being sure to fit.
std::size_t ManagedStream::run_length() const {
  std::int64_t room =
      std::min(max_size_ - log_->total_bytes(), segment_size() - active()->record_bytes());
  if (!in_memory() && context_.space.low()) room = std::min(room, space_credit_);
  std::size_t most = entries_.size() - head_;
  if (reserves()) {
    most = std::min(most, static_cast<std::size_t>(durable_bound_ - next_));
  }
  std::size_t count = 1;
  room -= stored_bytes(entries_[head_].payload);
  while (count < most) {
    const std::int64_t need = stored_bytes(entries_[head_ + count].payload);
    if (need > room) break;
    room -= need;
    ++count;
  }
  return count;
}

bool ManagedStream::hand_over(Step step) const {
  if (in_memory()) return false;
  if (slow_ || sealed_.size() >= kUnsyncedSegmentsMax) return true;
  const auto patience = std::chrono::microseconds(context_.options.inline_sync_us);
  return step == Step::kReserve && context_.pace.average() >= patience;
}

void ManagedStream::run(Todo todo) {
  if (auto prepared = prepare(todo.step); !prepared) {
    finish(todo.step, todo.count, std::move(prepared));
    return;
  }
  const std::span<const Entry> entries(entries_.data() + head_, todo.count);
  if (!hand_over(todo.step)) {
    finish(todo.step, todo.count, perform(todo.step, entries));
    return;
  }
  keep_copies();
  todo.count = std::min(todo.count, entries_.size() - head_);
  if (todo.step == Step::kWrite && todo.count == 0) return;
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(head_);
  in_flight_.assign(begin, begin + static_cast<std::ptrdiff_t>(todo.count));
  busy_ = true;
  context_.syncer.submit(Syncer::Urgency::kWaitedFor, [self = shared_from_this(), todo] {
    auto outcome = self->perform(todo.step, self->in_flight_);
    return [self, todo, outcome = std::move(outcome)] {
      self->busy_ = false;
      self->finish(todo.step, todo.count, outcome);
      if (self->rescuing_) self->start_rescue();
      self->advance();
      if (self->waits_for_sync()) self->start_sync(Syncer::Urgency::kWaitedFor);
    };
  });
}

/// What has to be decided on core before a step.
Result<void> ManagedStream::prepare(Step step) {
  if (step == Step::kReserve) {
    StreamState& state = state_->state();
    state.bound = std::max(state.bound, next_ + numbers_to_reserve());
    state.epoch = context_.epoch;
    WEIR_TRY(reserve_generation_, state_->write());
  }
  if (step == Step::kRoll) {
    const auto& last = active();
    if (state_ && !last && next_ > state_->state().floor) {
      // The log begins here. What a start finds missing before it would count as lost.
      state_->state().floor = next_;
      WEIR_TRY(state_written_, state_->write());
    }
    if (state_ && last && last->next() != next_) {
      std::vector<Jump>& jumps = state_->state().jumps;
      if (jumps.empty() || jumps.back() != Jump{last->next(), next_}) {
        jumps.push_back({last->next(), next_});
      }
      if (jumps.size() > kJumpsMax) jumps.erase(jumps.begin());
      WEIR_TRY(state_written_, state_->write());
    }
    roll_.emplace();
    roll_->header = {stored_.identity, next_, context_.wall_ms};
    roll_->path =
        layout::join(in_memory() ? std::string() : directory_, layout::segment_name(next_));
  }
  return {};
}

Result<void> ManagedStream::perform(Step step, std::span<const Entry> entries) {
  switch (step) {
    case Step::kReserve:
      return StateKeeper::sync(context_.env.disk, state_->path());
    case Step::kRoll:
      return do_roll();
    case Step::kWrite:
      return do_write(entries);
    case Step::kNone:
    case Step::kAgain:
      break;
  }
  return {};
}

Result<void> ManagedStream::do_roll() {
  if (writer_ && writer_->usable()) {
    if (const auto cut = writer_->cut_zeros(); !cut) {
      // Zeros behind the last record are harmless: the next segment's name says where it ends.
      log::debug("Zeros written ahead were not cut off.", {{"error", cut.error().what}});
    }
  }
  auto opened = files_.open(roll_->path, file::OpenMode::kCreateNew);
  if (!opened && opened.error().code == Errc::kAlreadyExists) {
    // An attempt that failed half-way, or a last segment without a message. Nothing in it counts.
    context_.files.forget(roll_->path);
    WEIR_RETURN_IF_ERROR(files_.remove_file(roll_->path));
    opened = files_.open(roll_->path, file::OpenMode::kCreateNew);
  }
  if (!opened && (opened.error().os_errno == EMFILE || opened.error().os_errno == ENFILE)) {
    context_.files.forget_all();
    opened = files_.open(roll_->path, file::OpenMode::kCreateNew);
  }
  if (!opened) return fail(std::move(opened).error());
  std::shared_ptr<file::File> file = std::move(*opened);
  // Not synced here, unlike `Writer::create`: nothing is acknowledged on it before `do_sync`.
  std::array<std::byte, segment::kHeaderBytes> head{};
  segment::encode_header(roll_->header, head);
  const std::array<Bytes, 1> pieces{Bytes(head)};
  auto written = file->write_at(0, pieces);
  if (!written) {
    if (!files_.remove_file(roll_->path)) log::debug("No partial segment to remove.");
    return written;
  }
  WEIR_TRY(roll_->writer,
           segment::Writer::resume(file, roll_->header, segment::kHeaderBytes, roll_->header.base));
  return {};
}

Result<void> ManagedStream::do_write(std::span<const Entry> entries) {
  if (!writer_) {
    const auto& last = active();
    auto file = files_.open(last->path(), file::OpenMode::kReadWrite);
    if (!file && (file.error().os_errno == EMFILE || file.error().os_errno == ENFILE)) {
      context_.files.forget_all();
      file = files_.open(last->path(), file::OpenMode::kReadWrite);
    }
    if (!file) return fail(std::move(file).error());
    WEIR_TRY(writer_, segment::Writer::resume(std::move(*file), last->header(), last->end_offset(),
                                              last->next()));
    // Only now: what stands behind the end has to be gone for good, which `resume` sees to.
    if (last->earlier_run && !writer_->file()->truncate(last->end_offset())) {
      log::debug("Room set aside by an earlier run was not given back.", {{"file", last->path()}});
    }
  }
  const Instant begun = context_.env.clock.now();
  auto written = writer_->append(entries);
  write_took_ = context_.env.clock.now() - begun;
  return written;
}

void ManagedStream::finish(Step step, std::size_t count, Result<void> outcome) {
  if (!outcome) {
    if (step == Step::kRoll) roll_.reset();
    const int error = outcome.error().os_errno;
    if ((error == EMFILE || error == ENFILE) && !std::exchange(out_of_files_, true)) {
      // Once more, after other streams gave up the files they do not need now (R5).
      close_other_writers();
      return;
    }
    // The same cause would refuse the rest of the group too.
    reject(entries_.size() - head_, cannot_store(std::move(outcome).error()),
           context_.counters.rejected_disk);
    return;
  }
  out_of_files_ = false;
  switch (step) {
    case Step::kReserve:
      state_->synced(reserve_generation_);
      durable_bound_ = state_->state().bound;
      break;
    case Step::kRoll:
      finish_roll();
      break;
    case Step::kWrite:
      finish_write(count);
      break;
    case Step::kNone:
    case Step::kAgain:
      break;
  }
}

void ManagedStream::finish_roll() {
  const auto last = active();
  if (last && last->empty()) {
    log_->remove_newest();
    if (last->base() != next_) retired_.push_back(last);
    if (mark_.segment == last) mark_.segment = nullptr;
  } else if (last && !in_memory()) {
    if (active_dirty_) sealed_.push_back({last, writer_ ? writer_->file() : nullptr});
    last->set_file(nullptr);
  }
  auto segment = std::make_shared<Segment>(roll_->header, roll_->path);
  writer_ = std::move(roll_->writer);
  roll_.reset();
  segment->set_file(writer_->file());
  segment->newest_append_ms = context_.wall_ms;
  segment->last_append = context_.env.clock.now();
  log_->append_segment(segment);
  if (!mark_.segment) mark_ = {segment, segment::kHeaderBytes, next_};
  seal_last_ = false;
  if (in_memory()) return;
  active_dirty_ = directory_dirty_ = true;
  touch_writer(context_.env.clock.now());
}

void ManagedStream::touch_writer(Instant now) {
  written_at_ = now;
  if (in_memory()) return;
  std::list<ManagedStream*>& writers = context_.writers;
  if (in_writers_) {
    writers.splice(writers.begin(), writers, *in_writers_);
    return;
  }
  writers.push_front(this);
  in_writers_ = writers.begin();
  const auto open_max = static_cast<std::size_t>(std::max<std::int64_t>(
      context_.options.open_files_max - context_.options.open_files_max / 2, 1));
  for (auto at = std::prev(writers.end()); writers.size() > open_max && *at != this;) {
    ManagedStream* const idle = *at;
    --at;
    if (!idle->release_writer()) break;
  }
}

void ManagedStream::close_other_writers() {
  std::vector<ManagedStream*> others(context_.writers.begin(), context_.writers.end());
  std::erase(others, this);
  for (ManagedStream* const other : others) other->release_writer();
}

/// Written to often, and so are many others: what the kernel keeps of a file is then no longer in
/// the processor's caches when its turn comes again.
bool ManagedStream::one_of_many(Instant now) const {
  return std::ssize(context_.writers) >= context_.options.sync_together_min &&
         now - written_at_ <= kOften && !stored_.definition.durable_before_answer();
}

void ManagedStream::finish_write(std::size_t count) {
  const Instant now = context_.env.clock.now();
  const bool was_slow = std::exchange(
      slow_,
      !in_memory() && write_took_ > std::chrono::milliseconds(context_.options.slow_write_ms));
  if (slow_) context_.counters.slow_writes.add();
  if (slow_ && !was_slow) {
    log::warn(
        "A write to the disk was slow; the stream is written by another thread until it "
        "recovers.",
        {{"stream", stored_.definition.name}, {"milliseconds", write_took_.count() / 1'000'000}});
  }
  const auto& segment = active();
  const SequenceNumber first = next_;
  std::uint64_t offset = segment->end_offset();
  const std::uint64_t begin = offset;
  std::uint64_t payload_bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Entry& entry = entries_[head_ + i];
    if (offset - indexed_offset_ >= segment::kIndexStrideBytes || offset < indexed_offset_) {
      segment->add_index_point({first + static_cast<std::int64_t>(i), offset, entry.append_ms});
      indexed_offset_ = offset;
    }
    offset += static_cast<std::uint64_t>(stored_bytes(entry.payload));
    payload_bytes += entry.payload.size();
    segment->newest_append_ms = std::max(segment->newest_append_ms, entry.append_ms);
  }
  segment->last_append = now;
  if (!segment->file()) segment->set_file(writer_->file());
  WEIR_CHECK(offset == writer_->end_offset(), "a write puts the records where they are expected");
  next_ = writer_->next();
  segment->publish(offset, next_);
  const std::int64_t size_expected = in_memory() || context_.space.low() ? 0 : segment_size();
  writer_->expect_size(static_cast<std::uint64_t>(size_expected));
  writer_->expect_small_groups(one_of_many(now));
  const auto bytes = static_cast<std::int64_t>(offset - begin);
  log_->add_bytes(bytes);
  figures_->appended_messages.fetch_add(count, std::memory_order_relaxed);
  figures_->appended_bytes.fetch_add(payload_bytes, std::memory_order_relaxed);
  context_.counters.appended_bytes.add(payload_bytes);
  touch_writer(now);
  if (!in_memory()) {
    context_.space.written(static_cast<std::uint64_t>(bytes), now);
    if (context_.space.low()) space_credit_ -= std::min(space_credit_, bytes);
    note_unsynced(bytes);
  }
  acknowledge(count, first);
  if (reserves() && durable_bound_ - next_ < numbers_to_reserve() / 2) extend_reservation();
}

void ManagedStream::acknowledge(std::size_t count, SequenceNumber first) {
  const std::size_t begin = head_;
  const bool later = stored_.definition.durable_before_answer();
  if (later) {
    for (std::size_t i = 0; i < count; ++i) {
      waiters_.push_back({tokens_[begin + i], first + static_cast<std::int64_t>(i)});
    }
    if (!std::exchange(in_want_sync, true)) context_.want_sync.push_back(this);
  } else {
    log_->set_visible(next_);
    if (in_memory()) log_->set_durable(next_);
    moved_ = true;
  }
  drop_staged(count);
  for (std::size_t i = 0; !later && i < count; ++i) {
    context_.env.appends.append_done(tokens_[begin + i], first + static_cast<std::int64_t>(i));
  }
  if (in_memory()) context_.env.observer.durable_moved(*this);
}

void ManagedStream::reject(std::size_t count, const Error& why, metrics::Counter& counter) {
  counter.add(count);
  const std::size_t begin = head_;
  drop_staged(count);
  const Result<SequenceNumber> outcome = fail(why);
  for (std::size_t i = 0; i < count; ++i) {
    context_.env.appends.append_done(tokens_[begin + i], outcome);
  }
}

/// The first `count` staged messages are decided.
void ManagedStream::drop_staged(std::size_t count) {
  const std::size_t end = head_ + count;
  for (; head_ < std::min(end, owned_until_); ++head_) {
    copied_bytes_ -= copies_.front().size();
    context_.held_bytes -= copies_.front().size();
    copies_.pop_front();
  }
  head_ = end;
  owned_until_ = std::max(owned_until_, head_);
}

/// What could not be written yet outlives the buffers it came in.
void ManagedStream::keep_copies() {
  owned_until_ = std::max(owned_until_, head_);
  for (; owned_until_ < entries_.size(); ++owned_until_) {
    Entry& entry = entries_[owned_until_];
    if (context_.held_bytes + entry.payload.size() > kHeldBytesMax) break;
    context_.held_bytes += entry.payload.size();
    copied_bytes_ += entry.payload.size();
    copies_.emplace_back(entry.payload.begin(), entry.payload.end());
    entry.payload = copies_.back();
  }
  if (owned_until_ == entries_.size()) return;
  const std::vector<std::uint64_t> refused(
      tokens_.begin() + static_cast<std::ptrdiff_t>(owned_until_), tokens_.end());
  entries_.resize(owned_until_);
  stamped_until_ = std::min(stamped_until_, owned_until_);
  tokens_.resize(owned_until_);
  context_.counters.rejected_busy.add(refused.size());
  const Result<SequenceNumber> outcome =
      fail(Errc::kIo, "the message cannot be stored: the disk does not keep up, " +
                          std::to_string(context_.held_bytes) + " bytes wait for it already");
  for (const std::uint64_t token : refused) context_.env.appends.append_done(token, outcome);
}

std::int64_t ManagedStream::numbers_to_reserve() const {
  return std::clamp(next_.value(), kNumbersReservedMin, kNumbersReservedMax);
}

/// In good time before the numbers run out, so that no append waits for it.
void ManagedStream::extend_reservation() {
  if (extending_) return;
  StreamState& state = state_->state();
  state.bound = std::max(state.bound, next_ + numbers_to_reserve());
  state.epoch = context_.epoch;
  const auto generation = state_->write();
  if (!generation) return;  // the next append at the bound tries again, and says so
  extending_ = true;
  context_.syncer.submit(
      Syncer::Urgency::kWaitedFor,
      [self = shared_from_this(), generation = *generation, bound = state.bound] {
        const auto synced = StateKeeper::sync(self->context_.env.disk, self->state_->path());
        return [self, generation, bound, good = synced.has_value()] {
          self->extending_ = false;
          if (!good) return;
          self->state_->synced(generation);
          self->durable_bound_ = std::max(self->durable_bound_, bound);
        };
      });
}

}  // namespace weir::stream
