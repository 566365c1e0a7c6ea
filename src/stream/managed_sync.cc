#include "base/log.h"
#include "stream/layout.h"
#include "stream/managed_stream.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::stream {
namespace {

constexpr std::uint64_t kZerosAheadMin = 4 * 1024;

void count_sync(Context& context, Duration took, bool elsewhere) {
  (elsewhere ? context.counters.syncs_elsewhere : context.counters.syncs_inline).add();
  context.figures->syncing += took.count();
}

}  // namespace

void ManagedStream::note_unsynced(std::int64_t bytes) {
  active_dirty_ = true;
  unsynced_bytes_ += bytes;
  if (!dirty_since_) dirty_since_ = context_.env.clock.now();
  const bool plain = !stored_.definition.durable_before_answer();
  if (plain && unsynced_bytes_ >= context_.options.sync_bytes) {
    start_sync(Syncer::Urgency::kPeriodic);
  }
}

std::shared_ptr<ManagedStream::SyncBatch> ManagedStream::begin_sync() {
  auto batch = std::make_shared<SyncBatch>();
  batch->sealed = sealed_;
  if (active_dirty_) {
    batch->active = active();
    batch->active_file = writer_ ? writer_->file() : nullptr;
  }
  batch->active_end = active() ? active()->end_offset() : segment::kHeaderBytes;
  batch->directory = directory_dirty_;
  if (state_written_ > state_synced_) batch->state = state_written_;
  batch->up_to = active() ? active()->next() : next_;
  active_dirty_ = directory_dirty_ = false;
  unsynced_bytes_ = 0;
  dirty_since_.reset();
  return batch;
}

Result<void> ManagedStream::do_sync(SyncBatch& batch) {
  const Instant begun = context_.env.clock.now();
  if (batch.state != 0) {
    WEIR_RETURN_IF_ERROR(StateKeeper::sync(context_.env.disk, state_->path()));
  }
  const auto sync = [this](const Segment& segment, std::shared_ptr<file::File> file) {
    if (!file) {
      auto opened = context_.files.open(segment.path());
      // Retention may have removed it meanwhile; then there is nothing left to keep.
      if (!opened && opened.error().code == Errc::kNotFound && segment.next() <= log_->oldest()) {
        return Result<void>();
      }
      if (!opened) return Result<void>(fail(std::move(opened).error()));
      file = std::move(*opened);
    }
    return file->sync();
  };
  for (const Sealed& sealed : batch.sealed) {
    WEIR_RETURN_IF_ERROR(sync(*sealed.segment, sealed.file));
  }
  if (batch.active) WEIR_RETURN_IF_ERROR(sync(*batch.active, batch.active_file));
  if (batch.directory && !log_->deleted()) {
    WEIR_RETURN_IF_ERROR(context_.env.disk.sync_directory(directory_));
  }
  batch.took = context_.env.clock.now() - begun;
  return {};
}

bool ManagedStream::sync_inline() {
  if (busy_ || syncing_ || rescuing_ || !writer_ || !fault_.empty()) return false;
  if (!sealed_.empty() || directory_dirty_ || state_written_ > state_synced_) {
    const auto batch = begin_sync();
    syncing_ = true;
    const auto outcome = do_sync(*batch);
    finish_sync(*batch, outcome, false);
    return true;
  }
  if (!active_dirty_) return true;
  const Instant begun = context_.env.clock.now();
  active_dirty_ = false;
  unsynced_bytes_ = 0;
  dirty_since_.reset();
  auto synced = writer_->sync();
  if (!synced) {
    sync_failed(synced.error());
    return true;
  }
  const Duration took = context_.env.clock.now() - begun;
  context_.pace.took(took);
  count_sync(context_, took, false);
  mark_ = {active(), writer_->end_offset(), next_};
  became_durable(next_);
  zeros_ahead();
  return true;
}

void ManagedStream::start_sync(Syncer::Urgency urgency) {
  if (in_memory() || syncing_ || rescuing_) return;
  const auto batch = begin_sync();
  syncing_ = true;
  context_.syncer.submit(urgency, [self = shared_from_this(), batch] {
    auto outcome = self->do_sync(*batch);
    return [self, batch, outcome = std::move(outcome)] {
      self->finish_sync(*batch, outcome, true);
      // What came while it ran forms the next group.
      if (self->waits_for_sync()) self->start_sync(Syncer::Urgency::kWaitedFor);
    };
  });
}

void ManagedStream::flush(std::uint64_t token) {
  const auto answer = [&](const Result<SequenceNumber>& outcome) {
    context_.env.appends.append_done(token, outcome);
  };
  if (removing_) return answer(fail(Errc::kNotFound, "the stream was deleted"));
  if (!fault_.empty()) return answer(fail(Errc::kIo, fault_));
  const SequenceNumber last = (active() ? active()->next() : next_) - 1;
  if (log_->durable_end() > last) return answer(last);
  waiters_.push_back({token, last});
  if (!std::exchange(in_want_sync, true)) context_.want_sync.push_back(this);
}

void ManagedStream::sync_together(Context& context, const std::vector<ManagedStream*>& streams) {
  if (std::ssize(streams) < context.options.sync_together_min) {
    for (ManagedStream* const stream : streams) stream->start_sync(Syncer::Urgency::kPeriodic);
    return;
  }
  struct Member {
    std::shared_ptr<ManagedStream> stream;
    std::shared_ptr<SyncBatch> batch;
    Result<void> outcome;
  };
  auto group = std::make_shared<std::vector<Member>>();
  group->reserve(streams.size());
  for (ManagedStream* const stream : streams) {
    if (stream->in_memory() || stream->syncing_ || stream->rescuing_) continue;
    group->push_back({stream->shared_from_this(), stream->begin_sync(), {}});
    stream->syncing_ = true;
  }
  if (group->empty()) return;
  context.syncer.submit(Syncer::Urgency::kPeriodic, [&context, group] {
    // A state that has to be durable before the messages it belongs to goes first.
    for (Member& member : *group) {
      if (member.batch->state == 0) continue;
      member.outcome = StateKeeper::sync(context.env.disk, member.stream->state_->path());
    }
    const Instant begun = context.env.clock.now();
    const bool together = context.env.disk.sync_all().has_value();
    const Duration took = context.env.clock.now() - begun;
    for (Member& member : *group) {
      // One by one tells which of them the disk failed.
      if (!together && member.outcome) member.outcome = member.stream->do_sync(*member.batch);
    }
    return [&context, group, together, took] {
      // One wait, which tells nothing of how long the sync of a single file takes.
      if (together) count_sync(context, took, true);
      for (const auto& [stream, batch, outcome] : *group) {
        stream->finish_sync(*batch, outcome, true);
        if (stream->waits_for_sync()) stream->start_sync(Syncer::Urgency::kWaitedFor);
      }
    };
  });
}

void ManagedStream::finish_sync(const SyncBatch& batch, const Result<void>& outcome,
                                bool elsewhere) {
  syncing_ = false;
  if (!outcome) {
    sync_failed(outcome.error());
    return;
  }
  if (batch.took) {
    context_.pace.took(*batch.took);
    count_sync(context_, *batch.took, elsewhere);
  }
  if (batch.state != 0) {
    state_->synced(batch.state);
    state_synced_ = std::max(state_synced_, batch.state);
  }
  std::erase_if(sealed_, [&](const Sealed& sealed) {
    return std::any_of(batch.sealed.begin(), batch.sealed.end(),
                       [&](const Sealed& done) { return done.segment == sealed.segment; });
  });
  const auto last = batch.active ? batch.active : active();
  if (last && last->base() <= batch.up_to) mark_ = {last, batch.active_end, batch.up_to};
  const bool rolled = !batch.sealed.empty();
  became_durable(batch.up_to);
  if (rolled && state_ && fault_.empty()) {
    // So that the next start knows that it need not look into the sealed ones.
    state_->state().durable = log_->durable_end();
    if (const auto written = state_->write(); !written) {
      log::debug("The durable end was not noted.", {{"error", written.error().what}});
    }
  }
  if (!busy_ && writer_) zeros_ahead();
}

void ManagedStream::became_durable(SequenceNumber up_to) {
  hint_due_ = true;
  const bool hidden = up_to > log_->visible_end();
  if (hidden) log_->set_visible(up_to);
  if (up_to > log_->durable_end()) log_->set_durable(std::min(up_to, log_->visible_end()));
  std::size_t done = 0;
  while (done < waiters_.size() && waiters_[done].number < up_to) {
    const Waiter waiter = waiters_[done++];
    context_.env.appends.append_done(waiter.token, waiter.number);
  }
  waiters_.erase(waiters_.begin(), waiters_.begin() + static_cast<std::ptrdiff_t>(done));
  if (hidden) context_.env.observer.visible_moved(*this);
  context_.env.observer.durable_moved(*this);
}

/// Syncing what is written into bytes that exist already does not have to change the file's size,
/// which is a third faster on a journalled file system.
void ManagedStream::zeros_ahead() {
  const auto most = static_cast<std::uint64_t>(context_.options.zeros_ahead_bytes);
  if (most == 0 || !stored_.definition.durable_before_answer() || !writer_->usable()) return;
  if (slow_ || context_.space.low()) return;
  const std::uint64_t written = writer_->end_offset();
  const std::uint64_t records =
      static_cast<std::uint64_t>(std::max<std::int64_t>(next_ - active()->base(), 1));
  if (writer_->zeros_ready() > written / records) return;
  const auto size_max = static_cast<std::uint64_t>(segment_size());
  const std::uint64_t left = size_max - std::min(size_max, written);
  const std::uint64_t ahead = std::min({most, std::max(kZerosAheadMin, written), left});
  if (ahead > 0) writer_->write_zeros_ahead(ahead);
}

// --- after a failed sync ----------------------------------------------------------------------

/// Nothing is known any more of what was not synced (reliability.md 2.1): never sync that file
/// again. What can still be read and checked goes into a new segment, and that one is synced.
struct ManagedStream::Rescue {
  Mark mark;
  SequenceNumber until;    ///< readers saw everything below
  segment::Header header;  ///< of the new segment
  std::string path;
  std::optional<segment::Writer> writer;
  std::shared_ptr<Segment> segment;
  std::vector<std::string> obsolete;  ///< segments behind the one with the mark
  Result<void> outcome;
};

namespace {

constexpr Duration kRescuePauseMin = std::chrono::seconds(1);
constexpr Duration kRescuePauseMax = std::chrono::minutes(1);

/// Appends what it reads to a segment.
class Copier final : public RecordSink {
 public:
  Copier(segment::Writer& writer, Segment& segment) : writer_(writer), segment_(segment) {}
  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    if (!outcome.has_value() || sequence != writer_.next()) return false;
    segment_.add_index_point({sequence, writer_.end_offset(), append_ms});
    segment_.newest_append_ms = std::max(segment_.newest_append_ms, append_ms);
    const std::array<segment::Writer::Entry, 1> entry{{{append_ms, payload}}};
    outcome = writer_.append(entry);
    return outcome.has_value();
  }
  Result<void> outcome;

 private:
  segment::Writer& writer_;
  Segment& segment_;
};

}  // namespace

void ManagedStream::sync_failed(const Error& why) {
  context_.counters.sync_failures.add();
  log::error(
      "Syncing a stream to the disk failed; what is not known to be stored is moved to a "
      "new file.",
      {{"stream", stored_.definition.name}, {"error", why.what}});
  fault_ = "the message cannot be stored durably: " + why.what;
  fail_waiters({Errc::kIo, fault_, why.os_errno});
  rescuing_ = true;
  // Should the process die before this is over, the log may be shorter than what was shown.
  StreamState& state = state_->state();
  state.at_least = std::max(state.at_least, log_->visible_end());
  if (const auto written = state_->write()) {
    state_written_ = *written;
  } else {
    log::debug("The numbers shown were not noted.", {{"error", written.error().what}});
  }
  if (!busy_) start_rescue();
}

void ManagedStream::fail_waiters(const Error& why) {
  const Result<SequenceNumber> outcome = fail(why);
  std::vector<Waiter> waiters;
  waiters.swap(waiters_);
  for (const Waiter& waiter : waiters) context_.env.appends.append_done(waiter.token, outcome);
}

void ManagedStream::start_rescue() {
  if (busy_) return;
  busy_ = true;
  auto rescue = std::make_shared<Rescue>();
  rescue->mark = mark_;
  if (!rescue->mark.segment && !log_->segments().empty()) {
    const auto& first = log_->segments().front();
    rescue->mark = {first, segment::kHeaderBytes, first->base()};
  }
  rescue->until = std::max(log_->visible_end(), rescue->mark.number);
  rescue->header = {stored_.identity, rescue->mark.number, context_.wall_ms};
  rescue->path = layout::join(directory_, layout::segment_name(rescue->mark.number));
  for (const auto& segment : log_->segments()) {
    if (rescue->mark.segment && segment->base() > rescue->mark.segment->base()) {
      rescue->obsolete.push_back(segment->path());
    }
  }
  context_.syncer.submit(Syncer::Urgency::kWaitedFor, [self = shared_from_this(), rescue] {
    self->do_rescue(*rescue);
    return [self, rescue] {
      self->finish_rescue(*rescue);
      // Messages that came meanwhile are written by now, and nobody else syncs them.
      if (self->waits_for_sync()) self->start_sync(Syncer::Urgency::kWaitedFor);
    };
  });
}

void ManagedStream::do_rescue(Rescue& rescue) {
  if (!rescue.mark.segment) return;
  const std::string old_path = rescue.mark.segment->path();
  const bool same_name = old_path == rescue.path;
  const std::string temporary = rescue.path + ".tmp";
  const auto copy = [&]() -> Result<void> {
    // The old file may lose its name to the new one: whoever reads it goes on with the open file.
    if (same_name && !rescue.mark.segment->file()) {
      WEIR_TRY(auto old, files_.open(old_path, file::OpenMode::kRead));
      rescue.mark.segment->set_file(std::move(old));
    }
    if (auto removed = files_.remove_file(temporary);
        !removed && removed.error().code != Errc::kNotFound) {
      return removed;
    }
    WEIR_TRY(auto writer, segment::Writer::create(files_, temporary, rescue.header));
    rescue.segment = std::make_shared<Segment>(rescue.header, rescue.path);
    Copier copier(writer, *rescue.segment);
    // An error here means that the rest is lost, not that the disk refuses new data.
    const auto read = log_->read(rescue.mark.number, rescue.until, rescue.until.value() + 1,
                                 ReadMode::kMayBlock, copier);
    WEIR_RETURN_IF_ERROR(copier.outcome);
    if (!read) log::warn("Reading back failed.", {{"error", read.error().what}});
    WEIR_RETURN_IF_ERROR(writer.sync());
    // Only now: until here the old file is the better one, whatever happens.
    WEIR_RETURN_IF_ERROR(files_.rename(temporary, rescue.path));
    context_.files.forget(old_path);
    context_.files.forget(rescue.path);
    WEIR_RETURN_IF_ERROR(files_.sync_directory(directory_));
    rescue.writer = std::move(writer);
    return {};
  };
  const bool in_use = rescue.until > rescue.mark.number;
  if (in_use || same_name) rescue.outcome = copy();
  if (!rescue.outcome) return;
  if (!same_name) {
    auto old = files_.open(old_path, file::OpenMode::kReadWrite);
    if (old && !(*old)->truncate(rescue.mark.offset)) {
      log::warn("The old file was not cut.", {{"file", old_path}});
    }
  }
  for (const std::string& path : rescue.obsolete) {
    if (path == rescue.path) continue;
    context_.files.forget(path);
    if (!files_.remove_file(path)) log::warn("A file was not removed.", {{"file", path}});
  }
}

/// The disk may be full or descriptors used up, which passes: nothing is lost by trying again,
/// because the new file gets its name only when it is complete.
void ManagedStream::rescue_failed(const Error& why) {
  const bool first = rescue_pause_ == Duration::zero();
  rescue_pause_ = first ? kRescuePauseMin : std::min(rescue_pause_ * 2, kRescuePauseMax);
  rescue_again_ = context_.env.clock.now() + rescue_pause_;
  dirty_since_.reset();  // the old file is not synced again
  if (first) {
    fault_ += "; moving to a new file failed too (" + why.what +
              "); the stream can only be read until that works, which weir tries again and again";
    log::error("A stream can only be read until it can be moved to a new file; weir keeps trying.",
               {{"stream", stored_.definition.name}, {"error", fault_}});
  }
  advance();
}

void ManagedStream::rescue_if_due(Instant now) {
  if (!rescue_again_ || now < *rescue_again_ || busy_ || syncing_) return;
  rescue_again_.reset();
  rescuing_ = true;
  start_rescue();
}

void ManagedStream::finish_rescue(Rescue& rescue) {
  busy_ = rescuing_ = false;
  if (!rescue.outcome) {
    rescue_failed(rescue.outcome.error());
    return;
  }
  if (rescue_pause_ != Duration::zero()) {
    log::info("A stream takes messages again.", {{"stream", stored_.definition.name}});
  }
  rescue_pause_ = Duration::zero();
  fault_.clear();
  writer_.reset();
  sealed_.clear();
  active_dirty_ = directory_dirty_ = false;
  dirty_since_.reset();
  // Copying looked for what is left and reported the holes it met.
  const SequenceNumber kept = rescue.writer ? rescue.writer->next() : rescue.mark.number;
  std::int64_t reported = 0;
  for (const auto& segment : log_->segments()) reported += segment->lost_from(kept);
  if (rescue.mark.segment)
    log_->cut_after(*rescue.mark.segment, rescue.mark.offset, rescue.mark.number,
                    rescue.segment != nullptr);
  if (rescue.writer) {
    rescue.segment->publish(rescue.writer->end_offset(), kept);
    rescue.segment->set_file(rescue.writer->file());
    rescue.segment->last_append = context_.env.clock.now();
    writer_ = std::move(rescue.writer);
    log_->append_segment(rescue.segment);
    mark_ = {rescue.segment, writer_->end_offset(), kept};
    touch_writer(context_.env.clock.now());
  } else {
    seal_last_ = true;
  }
  next_ = std::max(log_->visible_end(), kept);
  if (kept < log_->visible_end()) {
    const std::int64_t lost = log_->visible_end() - kept;
    const std::int64_t unreported = std::max<std::int64_t>(lost - reported, 0);
    log_->note_loss(unreported, "messages " + std::to_string(kept.value()) + " to " +
                                    std::to_string(log_->visible_end().value() - 1) +
                                    " were lost: the disk failed to store them");
    context_.counters.lost_to_sync.add(static_cast<std::uint64_t>(unreported));
    log::error("Messages were lost: the disk failed to store them.",
               {{"stream", stored_.definition.name},
                {"first_lost", kept.value()},
                {"last_lost", log_->visible_end().value() - 1}});
  }
  became_durable(log_->visible_end());
  advance();
}

}  // namespace weir::stream
