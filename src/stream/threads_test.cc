#include "base/log.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "file/faulty_file_system.h"
#include "file/memory_file_system.h"
#include "stream/test_store.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace weir::stream {
namespace {

/// Takes work from any thread and runs it on the one that calls `run_all`.
class SharedExecutor final : public Executor {
 public:
  void post(std::function<void()> work) override {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
  }
  void run_all() {
    std::deque<std::function<void()>> now;
    {
      const MutexLock lock(mutex_);
      now.swap(queue_);
    }
    for (const auto& work : now) work();
  }

 private:
  Mutex mutex_;
  std::deque<std::function<void()>> queue_ WEIR_GUARDED_BY(mutex_);
};

class Listener final : public Observer, public AppendSink {
 public:
  void stream_opened(Stream&) override {}
  void stream_updated(Stream&) override {}
  void stream_removed(StreamId, const std::string&) override {}
  void visible_moved(Stream&) override {}
  void durable_moved(Stream&) override {}
  void append_done(std::uint64_t, const Result<SequenceNumber>& outcome) override {
    ++answered;
    if (!outcome) ++refused;
  }
  std::int64_t answered = 0;
  std::int64_t refused = 0;
};

/// The payload of a message says what it must be, so that any byte can be checked.
std::string payload_of(std::int64_t number) {
  std::string payload = std::to_string(number) + ":";
  payload.resize(20 + static_cast<std::size_t>(number % 180), static_cast<char>('a' + number % 26));
  return payload;
}

class CheckingSink final : public RecordSink {
 public:
  bool record(SequenceNumber sequence, std::int64_t, Bytes payload) override {
    good = good && sequence.value() > last && as_text(payload) == payload_of(sequence.value());
    last = sequence.value();
    return true;
  }
  std::int64_t last = -1;
  bool good = true;
};

struct Fixture {
  explicit Fixture(
      std::unique_ptr<file::FileSystem> files = std::make_unique<file::FaultyFileSystem>())
      : disk_owner(std::move(files)), disk(*disk_owner) {
    auto opened =
        Catalog::open(options, {disk, clock, metrics, core, listener, listener, "boot", 1, true});
    EXPECT_TRUE(opened);
    catalog = std::move(*opened);
  }
  void create(model::StreamDefinition definition) {
    bool done = false;
    catalog->create(std::move(definition), [&done](Result<void> outcome) {
      EXPECT_TRUE(outcome);
      done = true;
    });
    while (!done) core.run_all();
  }
  /// Waits until everything sent was answered, with a deadline.
  void wait_for_answers(std::int64_t count) {
    const Instant deadline = clock.now() + std::chrono::seconds(60);
    while (listener.answered < count && clock.now() < deadline) {
      core.run_all();
      catalog->tick();
    }
    ASSERT_EQ(listener.answered, count);
    ASSERT_EQ(listener.refused, 0);
  }

  std::unique_ptr<file::FileSystem> disk_owner;
  file::FileSystem& disk;
  SystemClock clock;
  metrics::Registry metrics;
  SharedExecutor core;
  Listener listener;
  Options options;
  std::unique_ptr<Catalog> catalog;
};

TEST(StreamThreads, ReadersSeeOnlyWholeMessagesWhileCoreWritesAndRetires) {
  for (const bool flush : {false, true}) {
    Fixture fixture;
    auto definition = flush ? flushing_stream("a") : file_stream("a");
    definition.max_size = 32 * 1024;
    definition.stream_segment_size = 4 * 1024;
    definition.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
    fixture.create(definition);
    Stream& stream = *fixture.catalog->find("a");
    const auto log = stream.log();
    std::atomic<bool> stop{false};
    std::atomic<bool> good{true};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
      readers.emplace_back([&, i] {
        CheckingSink sink;
        SequenceNumber at;
        while (!stop) {
          const auto result = log->read(at, i == 0 ? log->visible_end() : log->durable_end(), 7,
                                        i == 0 ? ReadMode::kMayBlock : ReadMode::kCachedOnly, sink);
          good = good && result.has_value() && sink.good && log->bytes_from(at) >= 0;
          if (result) at = result->next;
        }
      });
    }
    constexpr std::int64_t kMessages = 3'000;
    std::vector<std::string> payloads;
    for (std::int64_t n = 0; n < kMessages; ++n) payloads.push_back(payload_of(n));
    for (std::int64_t n = 0; n < kMessages; ++n) {
      fixture.catalog->append(stream, as_bytes(payloads[static_cast<std::size_t>(n)]), 0);
      if (n % 5 == 0) fixture.catalog->commit();
      fixture.core.run_all();
    }
    fixture.catalog->commit();
    fixture.wait_for_answers(kMessages);
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_TRUE(good);
    fixture.catalog->close();
    EXPECT_EQ(log->durable_end(), SequenceNumber(kMessages));
  }
}

TEST(StreamThreads, ASlowDiskIsWrittenElsewhereAndKeepsTheOrder) {
  Fixture fixture;
  fixture.catalog->close();
  fixture.catalog.reset();
  fixture.options.slow_write_ms = 1;
  fixture.options.inline_sync_us = 0;
  // Every write counts as slow: the clock moves on each time it is looked at.
  class JumpingClock final : public Clock {
   public:
    [[nodiscard]] Instant now() const override {
      return Instant(std::chrono::milliseconds(ticks_ += 5));
    }
    [[nodiscard]] std::int64_t wall_ms() const override { return 1'700'000'000'000; }

   private:
    mutable std::atomic<std::int64_t> ticks_{3'600'000};
  };
  JumpingClock jumping;
  auto opened =
      Catalog::open(fixture.options, {fixture.disk, jumping, fixture.metrics, fixture.core,
                                      fixture.listener, fixture.listener, "boot", 1, true});
  ASSERT_TRUE(opened);
  fixture.catalog = std::move(*opened);
  fixture.create(file_stream("plain"));
  fixture.create(flushing_stream("flush"));
  std::int64_t sent = 0;
  for (std::int64_t n = 0; n < 150; ++n) {
    for (const char* name : {"plain", "flush"}) {
      // The buffer is gone after the commit: what waits must have been copied.
      const std::string payload = payload_of(n);
      fixture.catalog->append(*fixture.catalog->find(name), as_bytes(payload), 0);
      fixture.catalog->commit();
      ++sent;
    }
    fixture.core.run_all();
  }
  fixture.wait_for_answers(sent);
  for (const char* name : {"plain", "flush"}) {
    CheckingSink sink;
    LogReader& log = *fixture.catalog->find(name)->log();
    const auto result =
        log.read(SequenceNumber(0), log.visible_end(), 1'000, ReadMode::kMayBlock, sink);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->records, 150);
    EXPECT_TRUE(sink.good);
  }
  fixture.catalog->close();
  fixture.catalog.reset();
}

TEST(StreamThreads, TenThousandStreamsFitInOneStore) {
  Fixture fixture(file::make_memory());
  const int count = 10'000;
  int created = 0;
  for (int i = 0; i < count; ++i) {
    auto definition = file_stream("s" + std::to_string(i));
    fixture.catalog->create(definition, [&created](Result<void> outcome) {
      if (outcome) ++created;
    });
  }
  while (created < count) fixture.core.run_all();
  const std::string payload = "hello";
  for (Stream* stream : fixture.catalog->streams()) {
    fixture.catalog->append(*stream, as_bytes(payload), 0);
  }
  fixture.catalog->commit();
  fixture.wait_for_answers(count);
  fixture.catalog->close();
  fixture.catalog.reset();
  auto again =
      Catalog::open(fixture.options, {fixture.disk, fixture.clock, fixture.metrics, fixture.core,
                                      fixture.listener, fixture.listener, "boot", 1, true});
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->streams().size(), static_cast<std::size_t>(count));
  for (Stream* stream : (*again)->streams()) {
    ASSERT_EQ(stream->log()->durable_end(), SequenceNumber(1));
  }
}

}  // namespace
}  // namespace weir::stream
