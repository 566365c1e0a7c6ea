#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "file/faulty_file_system.h"
#include "stream/catalog.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A store as tests drive it: one thread, a clock that stands still, a disk that fails on request.
namespace weir::stream {

/// Runs posted work when told to.
class ManualExecutor final : public Executor {
 public:
  void post(std::function<void()> work) override { queue_.push_back(std::move(work)); }
  bool run_once() {
    if (queue_.empty()) return false;
    const auto work = std::move(queue_.front());
    queue_.pop_front();
    work();
    return true;
  }
  void drop_all() { queue_.clear(); }

 private:
  std::deque<std::function<void()>> queue_;
};

struct StoredMessage {
  std::int64_t number = 0;
  std::int64_t append_ms = 0;
  std::string payload;
  friend bool operator==(const StoredMessage&, const StoredMessage&) = default;
};

/// Keeps what it is given.
class CollectingSink final : public RecordSink {
 public:
  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    messages.push_back({sequence.value(), append_ms, std::string(as_text(payload))});
    return true;
  }
  std::vector<StoredMessage> messages;
};

class TestStore final : public Observer, public AppendSink {
 public:
  explicit TestStore(file::FileSystem& files) : disk(files) {
    options.sync_bytes = 64 * 1024;
    options.zeros_ahead_bytes = 4'096;
    options.open_files_max = 16;
    options.min_free_bytes = 0;
  }

  Result<void> open() {
    Catalog::Environment environment{disk,    clock, metrics,          core, *this, *this,
                                     boot_id, 7,     own_syncer_thread};
    auto result = Catalog::open(options, environment);
    if (!result) return fail(result.error());
    catalog = std::move(*result);
    return {};
  }
  /// Orderly stop.
  void close() {
    catalog->close();
    forget();
  }
  /// The process is gone; nothing that was posted runs any more.
  void forget() {
    core.drop_all();
    catalog.reset();
    core.drop_all();
    opened.clear();
  }
  /// Runs everything that is under way to its end.
  void settle() {
    for (bool again = true; again;) {
      again = core.run_once();
      if (!again && catalog) again = catalog->run_syncer_once();
    }
  }

  Result<void> create(model::StreamDefinition definition) {
    return change([&](auto done) { catalog->create(std::move(definition), done); });
  }
  Result<void> update(model::StreamDefinition definition) {
    return change([&](auto done) { catalog->update(std::move(definition), done); });
  }
  Result<void> remove(const std::string& name) {
    return change([&](auto done) { catalog->remove(name, done); });
  }

  Stream& stream(const std::string& name) { return *catalog->find(name); }

  /// Appends one message and waits for its outcome.
  Result<SequenceNumber> append(const std::string& name, std::string_view payload) {
    const std::uint64_t token = stage(name, payload);
    catalog->commit();
    settle();
    return outcome(token);
  }
  std::uint64_t stage(const std::string& name, std::string_view payload) {
    catalog->append(stream(name), as_bytes(payload), ++last_token);
    return last_token;
  }
  Result<SequenceNumber> outcome(std::uint64_t token) {
    const auto at = outcomes.find(token);
    if (at == outcomes.end()) return fail(Errc::kUnavailable, "not answered");
    return at->second;
  }

  std::vector<StoredMessage> read(const std::string& name, std::int64_t from = 0,
                                  std::int64_t count = 1'000'000) {
    CollectingSink sink;
    LogReader& log = *stream(name).log();
    read_result =
        log.read(SequenceNumber(from), log.visible_end(), count, ReadMode::kMayBlock, sink);
    return std::move(sink.messages);
  }
  std::vector<std::string> payloads(const std::string& name) {
    std::vector<std::string> all;
    for (StoredMessage& message : read(name)) all.push_back(std::move(message.payload));
    return all;
  }

  // Observer and AppendSink.
  void stream_opened(Stream& s) override { opened.push_back(s.definition().name); }
  void stream_updated(Stream& s) override { updated.push_back(s.definition().name); }
  void stream_removed(StreamId, const std::string& name) override { removed.push_back(name); }
  void visible_moved(Stream&) override { ++visible_moves; }
  void durable_moved(Stream&) override { ++durable_moves; }
  void append_done(std::uint64_t token, const Result<SequenceNumber>& result) override {
    answered_twice = answered_twice || outcomes.contains(token);
    outcomes.insert_or_assign(token, result);
  }

  file::FileSystem& disk;
  ManualClock clock;
  metrics::Registry metrics;
  ManualExecutor core;
  Options options;
  std::string boot_id = "boot-1";
  bool own_syncer_thread = false;
  std::unique_ptr<Catalog> catalog;

  std::vector<std::string> opened;
  std::vector<std::string> updated;
  std::vector<std::string> removed;
  std::map<std::uint64_t, Result<SequenceNumber>> outcomes;
  std::uint64_t last_token = 0;
  int visible_moves = 0;
  int durable_moves = 0;
  bool answered_twice = false;
  Result<ReadResult> read_result = ReadResult{};

 private:
  template <class Change>
  Result<void> change(Change start) {
    std::optional<Result<void>> outcome;
    start([&outcome](Result<void> result) { outcome = std::move(result); });
    settle();
    if (!outcome) return fail(Errc::kUnavailable, "not answered");
    return *outcome;
  }
};

inline model::StreamDefinition file_stream(std::string name) {
  model::StreamDefinition definition;
  definition.name = std::move(name);
  definition.max_size = 64 * 1024;
  definition.stream_segment_size = 1024;
  return definition;
}

inline model::StreamDefinition flushing_stream(std::string name) {
  model::StreamDefinition definition = file_stream(std::move(name));
  definition.flush_on_write = true;
  return definition;
}

inline model::StreamDefinition memory_stream(std::string name) {
  model::StreamDefinition definition = file_stream(std::move(name));
  definition.persistence = model::Persistence::kMemory;
  return definition;
}

}  // namespace weir::stream
