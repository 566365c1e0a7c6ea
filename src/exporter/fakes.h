#pragma once

#include "base/mutex.h"
#include "base/rng.h"
#include "exporter/destination.h"
#include "stream/stream.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// Stand-ins for the log, its positions and a destination. For tests only.
namespace weir::exporter::fake {

inline SequenceNumber seq(std::int64_t value) { return SequenceNumber(value); }

/// A stream's log in memory whose content is derived from the number, so that any byte can be
/// checked. Threads: any.
class Log final : public stream::LogReader {
 public:
  /// What message `number` of this log holds.
  [[nodiscard]] std::string payload(std::int64_t number) const {
    return name_ + ":" + std::to_string(number) +
           std::string(
               static_cast<std::size_t>(number * 7 % 23) + (number % 50 == 7 ? large_bytes_ : 0),
               '.');
  }
  /// Every fiftieth message is larger by `large_bytes`.
  explicit Log(std::string name = "log", std::size_t large_bytes = 0)
      : name_(std::move(name)), large_bytes_(large_bytes) {}

  void append(std::int64_t count, std::int64_t wall_ms = 0) {
    const MutexLock lock(mutex_);
    for (std::int64_t i = 0; i < count; ++i) {
      append_ms_[visible_++] = wall_ms;
    }
    if (!hold_durable_) durable_ = visible_;
  }
  /// From now on appended messages become durable only by `sync`.
  void hold_durable() {
    const MutexLock lock(mutex_);
    hold_durable_ = true;
  }
  void sync() {
    const MutexLock lock(mutex_);
    durable_ = visible_;
  }
  /// Retention: everything below `number` is gone.
  void remove_below(std::int64_t number) {
    const MutexLock lock(mutex_);
    oldest_ = std::max(oldest_, number);
    append_ms_.erase(append_ms_.begin(), append_ms_.lower_bound(number));
  }
  /// Damage: the log goes on behind these numbers.
  void damage(std::int64_t from, std::int64_t to) {
    const MutexLock lock(mutex_);
    append_ms_.erase(append_ms_.lower_bound(from), append_ms_.lower_bound(to));
    for (std::int64_t n = from; n < to; ++n) damaged_.insert(n);
  }
  [[nodiscard]] bool damaged(std::int64_t number) const {
    const MutexLock lock(mutex_);
    return damaged_.contains(number);
  }
  /// False if the message was removed or damaged (or never existed).
  [[nodiscard]] bool holds(std::int64_t number) const {
    const MutexLock lock(mutex_);
    return append_ms_.contains(number);
  }
  void fail_reads(std::optional<Error> error) {
    const MutexLock lock(mutex_);
    error_ = std::move(error);
  }
  void fail_reads_at(std::int64_t number, Error error) {
    const MutexLock lock(mutex_);
    bad_number_ = number;
    error_ = std::move(error);
  }

  [[nodiscard]] SequenceNumber oldest() const override {
    const MutexLock lock(mutex_);
    return seq(oldest_);
  }
  [[nodiscard]] SequenceNumber visible_end() const override {
    const MutexLock lock(mutex_);
    return seq(visible_);
  }
  [[nodiscard]] SequenceNumber durable_end() const override {
    const MutexLock lock(mutex_);
    return seq(durable_);
  }
  Result<stream::ReadResult> read(SequenceNumber from, SequenceNumber end, std::int64_t count,
                                  stream::ReadMode, stream::RecordSink& sink) override {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    std::int64_t at = 0;
    {
      const MutexLock lock(mutex_);
      at = std::max(from.value(), oldest_);
      if (error_ && (!bad_number_ || *bad_number_ == at)) return fail(*error_);
      for (auto it = append_ms_.lower_bound(at);
           it != append_ms_.end() && it->first < end.value() &&
           static_cast<std::int64_t>(found.size()) < count && it->first != bad_number_;
           ++it) {
        found.emplace_back(*it);
      }
      const bool all = static_cast<std::int64_t>(found.size()) < count;
      const std::int64_t limit =
          bad_number_ ? std::min(end.value(), std::max(*bad_number_, at)) : end.value();
      at = all ? std::max(limit, at) : found.back().first + 1;
    }
    std::int64_t taken = 0;
    for (const auto& [number, append_ms] : found) {
      const std::string text = payload(number);
      if (!sink.record(seq(number), append_ms, as_bytes(text))) {
        return stream::ReadResult{taken, seq(number), false};
      }
      ++taken;
    }
    return stream::ReadResult{taken, seq(at), false};
  }
  [[nodiscard]] std::int64_t bytes_from(SequenceNumber from) const override {
    constexpr std::int64_t kAbout = 20;
    const SequenceNumber end = durable_end();
    from = std::min(std::max(from, oldest()), end);
    const auto large_below = [](SequenceNumber number) { return (number.value() + 42) / 50; };
    return (end - from) * kAbout +
           (large_below(end) - large_below(from)) * static_cast<std::int64_t>(large_bytes_);
  }
  [[nodiscard]] std::int64_t append_ms_near(SequenceNumber from) const override {
    const MutexLock lock(mutex_);
    const auto found = append_ms_.lower_bound(from.value());
    return found == append_ms_.end() ? 0 : found->second;
  }

 private:
  const std::string name_;
  const std::size_t large_bytes_;
  mutable Mutex mutex_;
  std::map<std::int64_t, std::int64_t> append_ms_ WEIR_GUARDED_BY(mutex_);
  std::set<std::int64_t> damaged_ WEIR_GUARDED_BY(mutex_);
  std::int64_t oldest_ WEIR_GUARDED_BY(mutex_) = 0;
  std::int64_t visible_ WEIR_GUARDED_BY(mutex_) = 0;
  std::int64_t durable_ WEIR_GUARDED_BY(mutex_) = 0;
  bool hold_durable_ WEIR_GUARDED_BY(mutex_) = false;
  std::optional<Error> error_ WEIR_GUARDED_BY(mutex_);
  std::optional<std::int64_t> bad_number_ WEIR_GUARDED_BY(mutex_);
};

/// Positions in memory that outlive an engine. Threads: any.
class Cursors final : public stream::CursorStore {
 public:
  std::vector<stream::Cursor> load() override {
    const MutexLock lock(mutex_);
    std::vector<stream::Cursor> all;
    for (const auto& [identifier, cursor] : saved_) all.push_back(cursor);
    return all;
  }
  Result<void> save(const stream::Cursor& cursor) override {
    const MutexLock lock(mutex_);
    ++saves_;
    if (fail_) return weir::fail(Errc::kIo, "the disk is gone");
    saved_[cursor.identifier] = cursor;
    return {};
  }
  Result<void> remove(const std::string& identifier) override {
    const MutexLock lock(mutex_);
    saved_.erase(identifier);
    notes_.erase(identifier);
    return {};
  }
  std::string note(const std::string& identifier) override {
    const MutexLock lock(mutex_);
    const auto found = notes_.find(identifier);
    return found == notes_.end() ? std::string() : found->second;
  }
  Result<void> save_note(const std::string& identifier, const std::string& note) override {
    const MutexLock lock(mutex_);
    if (fail_) return weir::fail(Errc::kIo, "the disk is gone");
    notes_[identifier] = note;
    return {};
  }

  [[nodiscard]] std::optional<stream::Cursor> find(const std::string& identifier) const {
    const MutexLock lock(mutex_);
    const auto found = saved_.find(identifier);
    return found == saved_.end() ? std::nullopt : std::optional(found->second);
  }
  void put(stream::Cursor cursor) {
    const MutexLock lock(mutex_);
    saved_[cursor.identifier] = std::move(cursor);
  }
  void fail_saves(bool fail) {
    const MutexLock lock(mutex_);
    fail_ = fail;
  }
  [[nodiscard]] int saves() const {
    const MutexLock lock(mutex_);
    return saves_;
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, stream::Cursor> saved_ WEIR_GUARDED_BY(mutex_);
  std::map<std::string, std::string> notes_ WEIR_GUARDED_BY(mutex_);
  bool fail_ WEIR_GUARDED_BY(mutex_) = false;
  int saves_ WEIR_GUARDED_BY(mutex_) = 0;
};

/// Does what the test says.
class ScriptedDestination final : public Destination {
 public:
  using Script = std::function<Outcome(const Batch&, const std::stop_token&)>;
  explicit ScriptedDestination(Script script, Limits limits = {}, std::string host = "")
      : script_(std::move(script)), limits_(limits), host_(std::move(host)) {}

  [[nodiscard]] Limits limits() const override { return limits_; }
  Outcome deliver(const Batch& batch, std::stop_token stop) override {
    return script_(batch, stop);
  }
  [[nodiscard]] std::string host() const override { return host_; }
  void moved() override {
    if (on_moved) on_moved();
  }
  void forgive_refusals() override {
    if (on_forgive_refusals) on_forgive_refusals();
  }

  [[nodiscard]] bool wants_farewell() const override { return keeps_notes; }
  [[nodiscard]] bool uses_credentials() const override { return has_keys; }

  std::function<void()> on_moved;
  std::function<void()> on_forgive_refusals;
  bool keeps_notes = false;
  bool has_keys = false;

 private:
  Script script_;
  Limits limits_;
  std::string host_;
};

/// The same, and prepares: notes which messages were prepared, and checks that a batch that is
/// delivered carries what was made for it, if anything. `prepare` may run beside `deliver`.
class PreparingDestination final : public Destination {
 public:
  PreparingDestination(ScriptedDestination::Script script, Limits limits)
      : script_(std::move(script)), limits_(limits) {}

  [[nodiscard]] Limits limits() const override { return limits_; }
  [[nodiscard]] bool prepares() const override { return true; }
  std::unique_ptr<Preparation> prepare(const Batch& batch,
                                       std::unique_ptr<Preparation> old) override {
    const bool lends = old != nullptr;
    if (!lends) old = std::make_unique<Prepared>();
    static_cast<Prepared&>(*old).first = batch.messages().front().sequence;
    static_cast<Prepared&>(*old).size = batch.size();
    const MutexLock lock(mutex_);
    if (!lends) ++made_;
    prepared_.push_back(batch.messages().front().sequence.value());
    return old;
  }
  Outcome deliver(const Batch& batch, std::stop_token stop) override {
    const auto* const prepared = static_cast<Prepared*>(batch.preparation());
    if (prepared != nullptr &&
        (prepared->first != batch.messages().front().sequence || prepared->size != batch.size())) {
      return Outcome::rejected("not what was prepared");
    }
    return script_(batch, stop);
  }
  [[nodiscard]] std::string host() const override { return ""; }
  /// The first number of each batch that was prepared.
  [[nodiscard]] std::vector<std::int64_t> prepared() const {
    const MutexLock lock(mutex_);
    return prepared_;
  }
  /// How many batches it prepared that brought nothing of an earlier one.
  [[nodiscard]] int made() const {
    const MutexLock lock(mutex_);
    return made_;
  }

 private:
  struct Prepared final : Preparation {
    SequenceNumber first;
    std::size_t size = 0;
  };
  ScriptedDestination::Script script_;
  Limits limits_;
  mutable Mutex mutex_;
  std::vector<std::int64_t> prepared_ WEIR_GUARDED_BY(mutex_);
  int made_ WEIR_GUARDED_BY(mutex_) = 0;
};

inline model::ExportConfig config(std::string identifier,
                                  model::ExportType type = model::ExportType::kKinesis) {
  model::ExportConfig result;
  result.type = type;
  result.identifier = std::move(identifier);
  result.target = "target";
  return result;
}

}  // namespace weir::exporter::fake
