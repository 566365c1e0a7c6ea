#include "base/testing_allocations.h"
#include "file/memory_file_system.h"
#include "stream/test_store.h"

#include <gtest/gtest.h>

namespace weir::stream {
namespace {

using weir::testing::allocations;
using weir::testing::counting_allocations;

/// A core that runs nothing by itself and answers that are only counted.
class Quiet final : public Executor, public Observer, public AppendSink, public RecordSink {
 public:
  void post(std::function<void()> work) override { queue.push_back(std::move(work)); }
  void stream_opened(Stream&) override {}
  void stream_updated(Stream&) override {}
  void stream_removed(StreamId, const std::string&) override {}
  void visible_moved(Stream&) override {}
  void durable_moved(Stream&) override {}
  void append_done(std::uint64_t, const Result<SequenceNumber>& outcome) override {
    if (outcome) ++stored;
  }
  bool record(SequenceNumber, std::int64_t, Bytes) override {
    ++read;
    return true;
  }
  std::deque<std::function<void()>> queue;
  std::int64_t stored = 0;
  std::int64_t read = 0;
};

TEST(StreamAllocations, AppendingAndReadingAllocateNothingPerMessage) {
  const auto disk = file::make_memory();
  Quiet quiet;
  ManualClock clock;
  metrics::Registry metrics;
  Options options;
  auto opened =
      Catalog::open(options, {*disk, clock, metrics, quiet, quiet, quiet, "boot", 1, false});
  ASSERT_TRUE(opened);
  Catalog& catalog = **opened;
  for (const bool flush : {false, true}) {
    auto definition = flush ? flushing_stream("flush") : file_stream("plain");
    definition.max_size = 64 * 1024 * 1024;
    definition.stream_segment_size = 64 * 1024 * 1024;
    catalog.create(definition, [](Result<void>) {});
    while (catalog.run_syncer_once() || !quiet.queue.empty()) {
      while (!quiet.queue.empty()) {
        const auto work = std::move(quiet.queue.front());
        quiet.queue.pop_front();
        work();
      }
    }
    Stream& stream = *catalog.find(definition.name);
    const std::string payload(512, 'x');
    constexpr int kBatch = 100;
    constexpr int kBatches = 100;
    for (int batch = 0; batch <= kBatches; ++batch) {
      // The first one warms up.
      counting_allocations = batch > 0;
      for (int i = 0; i < kBatch; ++i) {
        catalog.append(stream, as_bytes(payload), static_cast<std::uint64_t>(i));
      }
      catalog.commit();
      counting_allocations = false;
    }
    // The files in memory grow by pieces of 64 KiB, 120 messages each, and numbers are reserved
    // ever more at a time; nothing else allocates.
    EXPECT_LT(allocations, kBatch * kBatches / 40) << definition.name;
    allocations = 0;
    LogReader& log = *stream.log();
    SequenceNumber at;
    for (int batch = 0; at < log.visible_end(); ++batch) {
      counting_allocations = batch > 0;
      const auto result = log.read(at, log.visible_end(), kBatch, ReadMode::kCachedOnly, quiet);
      counting_allocations = false;
      ASSERT_TRUE(result);
      at = result->next;
    }
    EXPECT_EQ(allocations, 0) << definition.name;
    allocations = 0;
  }
  EXPECT_EQ(quiet.stored, 2 * 101 * 100);
  EXPECT_EQ(quiet.read, 2 * 101 * 100);
}

}  // namespace
}  // namespace weir::stream
