#pragma once

#include "base/check.h"
#include "base/executor.h"
#include "base/mutex.h"
#include "server/server.h"
#include "stream/catalog.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// A catalog in memory that does as it is told: slow disks, full streams, reads that would block.
namespace weir::server::testing {

class FakeLog final : public stream::LogReader {
 public:
  SequenceNumber oldest() const override {
    MutexLock lock(mutex_);
    return SequenceNumber(oldest_);
  }
  SequenceNumber visible_end() const override {
    MutexLock lock(mutex_);
    return SequenceNumber(visible_);
  }
  SequenceNumber durable_end() const override { return visible_end(); }

  Result<stream::ReadResult> read(SequenceNumber from, SequenceNumber end, std::int64_t count,
                                  stream::ReadMode mode, stream::RecordSink& sink) override {
    stream::ReadResult result;
    std::vector<std::string> records;
    {
      MutexLock lock(mutex_);
      if (removed_) return fail(Errc::kNotFound, "deleted");
      if (damaged_) return fail(Errc::kCorrupt, "record 0 is damaged");
      result.next = SequenceNumber(std::max(from.value(), oldest_));
      if (mode == stream::ReadMode::kCachedOnly && cold_) {
        result.would_block = true;
        return result;
      }
      for (auto at = result.next; at < end && std::cmp_less(records.size(), count); ++at) {
        records.push_back(records_[static_cast<std::size_t>(at.value())]);
      }
    }
    for (const auto& record : records) {
      if (!sink.record(result.next, 1'700'000'000'000, as_bytes(record))) break;
      ++result.records;
      ++result.next;
    }
    return result;
  }
  std::int64_t bytes_from(SequenceNumber from) const override {
    MutexLock lock(mutex_);
    std::int64_t bytes = 0;
    for (auto i = static_cast<std::size_t>(from.value()); i < records_.size(); ++i) {
      bytes += static_cast<std::int64_t>(records_[i].size());
    }
    return bytes;
  }
  std::int64_t append_ms_near(SequenceNumber) const override { return 0; }

  SequenceNumber add(std::string payload) {
    MutexLock lock(mutex_);
    records_.push_back(std::move(payload));
    return SequenceNumber(static_cast<std::int64_t>(records_.size()) - 1);
  }
  void show(std::int64_t end) {
    MutexLock lock(mutex_);
    visible_ = std::max(visible_, end);
  }
  void forget_below(std::int64_t oldest) {
    MutexLock lock(mutex_);
    oldest_ = oldest;
  }
  void set_removed() {
    MutexLock lock(mutex_);
    removed_ = true;
  }
  void set_cold(bool cold) {
    MutexLock lock(mutex_);
    cold_ = cold;
  }
  void set_damaged(bool damaged) {
    MutexLock lock(mutex_);
    damaged_ = damaged;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> records_ WEIR_GUARDED_BY(mutex_);
  std::int64_t oldest_ WEIR_GUARDED_BY(mutex_) = 0;
  std::int64_t visible_ WEIR_GUARDED_BY(mutex_) = 0;
  bool removed_ WEIR_GUARDED_BY(mutex_) = false;
  bool cold_ WEIR_GUARDED_BY(mutex_) = false;
  bool damaged_ WEIR_GUARDED_BY(mutex_) = false;
};

class FakeStream final : public stream::Stream {
 public:
  FakeStream(StreamId number, model::StreamDefinition wanted)
      : log_(fake), id_(number), definition_(std::move(wanted)) {}
  StreamId id() const override { return id_; }
  const model::StreamDefinition& definition() const override { return definition_; }
  model::StorageStatus storage_status() const override {
    return {fake->oldest().value(), fake->visible_end().value() - 1, 0};
  }
  const std::shared_ptr<stream::LogReader>& log() const override { return log_; }
  const std::shared_ptr<stream::CursorStore>& cursors() const override { return cursors_; }
  std::string fault() const override { return {}; }
  std::int64_t lost_messages() const override { return 0; }

  std::shared_ptr<FakeLog> fake = std::make_shared<FakeLog>();

 private:
  std::shared_ptr<stream::LogReader> log_;
  std::shared_ptr<stream::CursorStore> cursors_;
  StreamId id_;
  model::StreamDefinition definition_;
};

/// Threads: core only, like the real one.
class FakeCatalog final : public stream::Catalog {
 public:
  FakeCatalog(Executor& core, Server& server) : core_(core), server_(server) {}

  void create(model::StreamDefinition definition, Done done) override {
    const std::string name = definition.name;
    if (streams_.contains(name)) return finish(std::move(done), fail(Errc::kAlreadyExists, "x"));
    if (std::cmp_greater_equal(streams_.size(), streams_max)) {
      return finish(std::move(done),
                    fail(Errc::kFull, "there are " + std::to_string(streams_max) +
                                          " streams already, the limit streams_max"));
    }
    streams_[name] = std::make_unique<FakeStream>(StreamId(++last_id_), std::move(definition));
    finish(std::move(done), {});
  }
  void update(model::StreamDefinition definition, Done done) override {
    const auto* stream = find(definition.name);
    if (stream == nullptr) return finish(std::move(done), fail(Errc::kNotFound, "none"));
    if (definition.persistence && *definition.persistence != model::Persistence::kFile) {
      return finish(std::move(done), fail(Errc::kConflict, "persistence cannot be updated"));
    }
    finish(std::move(done), {});
  }
  void remove(std::string_view name, Done done) override {
    const auto found = streams_.find(std::string(name));
    if (found == streams_.end()) return finish(std::move(done), fail(Errc::kNotFound, "none"));
    const StreamId id = found->second->id();
    found->second->fake->set_removed();
    streams_.erase(found);
    server_.stream_removed(id);
    finish(std::move(done), {});
  }
  stream::Stream* find(std::string_view name) override {
    const auto found = streams_.find(name);
    return found == streams_.end() ? nullptr : found->second.get();
  }
  stream::Stream* find(StreamId id) override {
    for (const auto& [name, stream] : streams_) {
      if (stream->id() == id) return stream.get();
    }
    return nullptr;
  }
  std::vector<stream::Stream*> streams() override {
    std::vector<stream::Stream*> all;
    for (const auto& [name, stream] : streams_) all.push_back(stream.get());
    return all;
  }

  void append(stream::Stream& stream, Bytes payload, std::uint64_t token) override {
    staged_.push_back({&dynamic_cast<FakeStream&>(stream), payload, token});
  }
  void commit() override {
    ++commits;
    for (const auto& [stream, payload, token] : std::exchange(staged_, {})) {
      if (refuse_appends) {
        server_.append_done(token, fail(*refuse_appends));
        continue;
      }
      const SequenceNumber number = stream->fake->add(std::string(as_text(payload)));
      const auto written = [this, stream = stream, number, token = token] {
        stream->fake->show(number.value() + 1);
        server_.append_done(token, number);
        server_.stream_moved(*stream);
      };
      if (slow_disk) {
        unsynced_.push_back(written);
      } else {
        written();
      }
    }
  }
  void flush(stream::Stream& stream, std::uint64_t token) override {
    server_.append_done(token, stream.log()->visible_end() - 1);
  }
  /// With `slow_disk`: lets everything reach the disk.
  void sync() {
    for (const auto& written : std::exchange(unsynced_, {})) written();
  }
  /// With `hold_changes`: lets create, update and delete finish.
  void finish_changes() {
    for (auto& change : std::exchange(held_, {})) core_.post(std::move(change));
  }
  void set_min_free_bytes(std::int64_t) override {}
  Instant tick() override { return Instant::max(); }
  void close() override {}
  bool run_syncer_once() override { return false; }

  [[nodiscard]] const std::vector<stream::UnavailableStream>& unavailable() const override {
    return unavailable_streams;
  }

  FakeStream& stream(const std::string& name) { return *streams_.at(name); }

  std::int64_t streams_max = 10'000;
  std::vector<stream::UnavailableStream> unavailable_streams;
  bool slow_disk = false;
  bool hold_changes = false;
  std::optional<Error> refuse_appends;
  std::int64_t commits = 0;

 private:
  void finish(Done done, Result<void> outcome) {
    std::function<void()> change = [done = std::move(done), outcome = std::move(outcome)] {
      done(outcome);
    };
    if (hold_changes) {
      held_.push_back(std::move(change));
    } else {
      core_.post(std::move(change));
    }
  }

  struct Staged {
    FakeStream* stream;
    Bytes payload;
    std::uint64_t token;
  };
  Executor& core_;
  Server& server_;
  std::map<std::string, std::unique_ptr<FakeStream>, std::less<>> streams_;
  std::vector<Staged> staged_;
  std::vector<std::function<void()>> unsynced_;
  std::vector<std::function<void()>> held_;
  std::uint64_t last_id_ = 0;
};

}  // namespace weir::server::testing
