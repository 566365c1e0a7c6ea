#include "stream/context.h"

#include "base/log.h"
#include "stream/metrics.h"

#include <algorithm>
#include <utility>

namespace weir::stream {
namespace {

constexpr std::uint64_t kLookEveryBytes = 8 * 1024 * 1024;
constexpr Duration kLookEvery = std::chrono::seconds(1);

std::size_t half_of(std::int64_t files) {
  return static_cast<std::size_t>(std::max<std::int64_t>(files / 2, 1));
}

}  // namespace

void FiguresList::add(std::shared_ptr<StreamFigures> figures) {
  const MutexLock lock(mutex_);
  list_.push_back(std::move(figures));
}

void FiguresList::remove(const StreamFigures* figures) {
  const MutexLock lock(mutex_);
  std::erase_if(list_, [figures](const auto& one) { return one.get() == figures; });
}

void FiguresList::collect(metrics::Samples& samples) const {
  const auto seconds = [](Duration::rep time) {
    return std::chrono::duration<double>(Duration(time)).count();
  };
  samples.add(metric::kSyncSeconds, {}, seconds(syncing.load()));
  samples.add(metric::kUnsyncedAge, {}, seconds(unsynced_age.load()));
  std::vector<std::shared_ptr<StreamFigures>> list;
  {
    const MutexLock lock(mutex_);
    list = list_;
  }
  for (const auto& one : list) {
    const auto number = [](auto value) { return static_cast<double>(value); };
    const Log& log = *one->log;
    samples.add(metric::kAppendedMessages, {one->name}, number(one->appended_messages.load()));
    samples.add(metric::kAppendedBytes, {one->name}, number(one->appended_bytes.load()));
    samples.add(metric::kStoredBytes, {one->name}, number(log.total_bytes()));
    samples.add(metric::kOldestNumber, {one->name}, number(log.oldest().value()));
    samples.add(metric::kNextNumber, {one->name}, number(log.visible_end().value()));
    samples.add(metric::kSegments, {one->name}, number(log.segment_count()));
  }
}

void SyncPace::took(Duration duration) { average_ = (average_ * 4 + duration) / 5; }

FreeSpace::FreeSpace(file::FileSystem& disk, metrics::Registry& metrics,
                     std::int64_t min_free_bytes)
    : disk_(disk),
      free_gauge_(metrics.gauge(metric::kFreeBytes)),
      low_gauge_(metrics.gauge(metric::kLowSpace)),
      min_free_bytes_(static_cast<std::uint64_t>(min_free_bytes)) {}

void FreeSpace::look(Instant now) {
  if (!asked_ || now - asked_at_ >= kLookEvery) ask(now);
}

void FreeSpace::set_min_free_bytes(std::int64_t bytes) {
  min_free_bytes_ = static_cast<std::uint64_t>(bytes);
  asked_ = false;
}

void FreeSpace::written(std::uint64_t bytes, Instant now) {
  written_ += bytes;
  if (written_ >= kLookEveryBytes) ask(now);
}

void FreeSpace::ask(Instant now) {
  asked_ = true;
  asked_at_ = now;
  written_ = 0;
  const auto space = disk_.space();
  if (!space) return;  // then the writes will say what is wrong
  free_bytes_ = space->free_bytes;
  mark_ = std::min(min_free_bytes_, space->total_bytes / 100);
  // A quarter more to resume, so that it does not flap.
  const bool low = free_bytes_ < (low_ ? mark_ + mark_ / 4 : mark_);
  if (low != low_) {
    if (low) {
      log::warn(
          "The disk is nearly full: appends are refused, streams that overwrite use their "
          "own oldest messages' space.",
          {{"free_bytes", free_bytes_}, {"min_free_bytes", mark_}});
    } else {
      log::info("There is space on the disk again.", {{"free_bytes", free_bytes_}});
    }
  }
  low_ = low;
  free_gauge_.set(static_cast<std::int64_t>(free_bytes_));
  low_gauge_.set(low ? 1 : 0);
}

std::string FreeSpace::text() const {
  return "no space left on device: " + std::to_string(free_bytes_) + " bytes are free and " +
         std::to_string(mark_) + " are kept for others (min_free_bytes)";
}

Counters::Counters(metrics::Registry& r)
    : appended_bytes(r.counter(metric::kStoreAppendedBytes)),
      rejected_full(r.counter(metric::kRejectedMessages, {"full"})),
      rejected_too_large(r.counter(metric::kRejectedMessages, {"too_large"})),
      rejected_disk(r.counter(metric::kRejectedMessages, {"disk"})),
      rejected_low_space(r.counter(metric::kRejectedMessages, {"low_space"})),
      rejected_fault(r.counter(metric::kRejectedMessages, {"fault"})),
      rejected_busy(r.counter(metric::kRejectedMessages, {"busy"})),
      lost_to_damage(r.counter(metric::kLostMessages, {"damage"})),
      lost_to_sync(r.counter(metric::kLostMessages, {"sync_failed"})),
      removed_full(r.counter(metric::kRemovedMessages, {"full"})),
      removed_ttl(r.counter(metric::kRemovedMessages, {"ttl"})),
      removed_low_space(r.counter(metric::kRemovedMessages, {"low_space"})),
      syncs_inline(r.counter(metric::kSyncs, {"inline"})),
      syncs_elsewhere(r.counter(metric::kSyncs, {"syncer"})),
      sync_failures(r.counter(metric::kSyncFailures)),
      slow_writes(r.counter(metric::kSlowWrites)),
      streams(r.gauge(metric::kStreams)) {}

Context::Context(const Options& opts, Catalog::Environment& environment)
    : options(opts),
      env(environment),
      counters(env.metrics),
      files(env.disk, env.metrics, half_of(opts.open_files_max)),
      quarantine(env.disk, env.metrics, opts.quarantine_bytes_max),
      log_shared(std::make_shared<Log::Shared>(
          Log::Shared{&files, &quarantine, &counters.lost_to_damage})),
      figures(std::make_shared<FiguresList>()),
      space(env.disk, env.metrics, opts.min_free_bytes),
      started(env.clock.now()),
      syncer(env.core, env.own_syncer_thread) {
  env.metrics.add_collector(
      [weak = std::weak_ptr<FiguresList>(figures)](metrics::Samples& samples) {
        if (const auto list = weak.lock()) list->collect(samples);
      });
}

}  // namespace weir::stream
