#include "base/log.h"
#include "segment/segment.h"
#include "stream/layout.h"
#include "stream/test_store.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>
#include <utility>

/// Many streams that are written a little each: the disk is waited for once, not once for each.
namespace weir::stream {
namespace {

using file::Call;

constexpr int kStreams = 40;

class ManyStreams : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    store.options.open_files_max = 4 * kStreams;
    const auto opened = store.open();
    ASSERT_TRUE(opened) << opened.error().what;
    for (int i = 0; i < kStreams; ++i) {
      auto definition = file_stream(name(i));
      definition.stream_segment_size = 64 * 1024;
      ASSERT_TRUE(store.create(definition));
    }
  }
  void TearDown() override { log::capture(nullptr); }

  static std::string name(int i) { return "s" + std::to_string(i); }

  void append_to_each(const std::string& payload) {
    for (int i = 0; i < kStreams; ++i) {
      const auto stored = store.append(name(i), payload);
      ASSERT_TRUE(stored) << stored.error().what;
    }
  }
  void let_the_interval_pass() {
    store.clock.advance(std::chrono::seconds(1));
    store.catalog->tick();
    store.settle();
  }
  std::string first_segment(int i) {
    return layout::join(layout::stream_directory(store.stream(name(i)).id()),
                        layout::segment_name(SequenceNumber(0)));
  }
  std::uint64_t size_of(const std::string& path) {
    return disk.open(path, file::OpenMode::kRead).value()->size().value();
  }
  std::uint64_t single_syncs() const {
    return disk.calls(Call::kSync) + disk.calls(Call::kSyncDirectory);
  }

  file::FaultyFileSystem disk;
  TestStore store{disk};
};

TEST_F(ManyStreams, TakeTheirFirstMessagesWithoutWaitingForTheDisk) {
  const std::uint64_t before = single_syncs();
  append_to_each("one");
  EXPECT_EQ(single_syncs(), before);
  EXPECT_EQ(disk.calls(Call::kSyncAll), 0U);
}

TEST_F(ManyStreams, AreSyncedByOneWaitForTheDisk) {
  append_to_each("one");
  const std::uint64_t before = single_syncs();
  let_the_interval_pass();
  EXPECT_EQ(single_syncs(), before);
  EXPECT_EQ(disk.calls(Call::kSyncAll), 1U);
  EXPECT_NE(store.metrics.text().find("weir_stream_syncs_total{where=\"syncer\"} 1\n"),
            std::string::npos)
      << store.metrics.text();
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_EQ(store.stream(name(i)).log()->durable_end(), SequenceNumber(1));
  }
  store.forget();
  disk.crash(1);
  ASSERT_TRUE(store.open());
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_EQ(store.payloads(name(i)), std::vector<std::string>{"one"});
  }
}

TEST_F(ManyStreams, WrittenOftenHaveZerosAheadThatNobodySeesAndTheStopTakesAway) {
  const auto written = [&] { return disk.calls(Call::kWrite); };
  for (const char* const text : {"a", "b", "c"}) append_to_each(text);
  // Now each has zeros to go on with: what comes next is one write a message, as before.
  const std::uint64_t before = written();
  append_to_each("d");
  EXPECT_EQ(written(), before + kStreams);
  const std::vector<std::string> all{"a", "b", "c", "d"};
  EXPECT_EQ(size_of(first_segment(0)), 12'288U);
  for (int i = 0; i < kStreams; ++i) EXPECT_EQ(store.payloads(name(i)), all);

  // Killed: the zeros are still there and no loss.
  store.forget();
  ASSERT_TRUE(store.open());
  for (int i = 0; i < kStreams; ++i) EXPECT_EQ(store.payloads(name(i)), all);
  EXPECT_EQ(store.metrics.text().find("weir_stream_lost_messages_total{reason=\"damage\"} 1"),
            std::string::npos);

  for (const char* const text : {"e", "f", "g"}) append_to_each(text);
  ASSERT_EQ(size_of(first_segment(0)), 12'288U);
  let_the_interval_pass();
  const std::uint64_t syncs = disk.calls(Call::kSync);
  store.catalog->close();
  EXPECT_LE(disk.calls(Call::kSync), syncs + 2) << "not one wait for each stream";
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_EQ(size_of(first_segment(i)), segment::kHeaderBytes + 7 * 25);
  }
}

TEST_F(ManyStreams, RarelyWrittenHaveNone) {
  append_to_each("one");
  let_the_interval_pass();
  store.clock.advance(std::chrono::seconds(10));
  append_to_each("two");
  EXPECT_EQ(size_of(first_segment(0)), segment::kHeaderBytes + 2 * 24 + 6);
}

TEST_F(ManyStreams, AreSyncedOneByOneWhereTheDiskCannotDoItTogether) {
  append_to_each("one");
  disk.fail_call(Call::kSyncAll, 1, ENOSYS);
  let_the_interval_pass();
  for (int i = 0; i < kStreams; ++i) {
    const Stream& stream = store.stream(name(i));
    EXPECT_EQ(stream.log()->durable_end(), SequenceNumber(1));
  }
}

TEST_F(ManyStreams, LoseNothingSilentlyWhenSyncingThemTogetherFails) {
  append_to_each("one");
  let_the_interval_pass();
  append_to_each("two");
  disk.fail_call(Call::kSyncAll, 1, EIO);
  let_the_interval_pass();
  std::int64_t lost = 0;
  for (int i = 0; i < kStreams; ++i) {
    const Stream& stream = store.stream(name(i));
    const auto left = static_cast<std::int64_t>(store.payloads(name(i)).size());
    EXPECT_EQ(left + stream.lost_messages(), 2) << name(i);
    EXPECT_GE(left, 1);
    lost += stream.lost_messages();
    const auto next = store.append(name(i), "three");
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_EQ(*next, SequenceNumber(2)) << "numbers that were shown are not used again";
  }
  EXPECT_GT(lost, 0) << "the disk was to lose something";
  EXPECT_LT(lost, kStreams) << "and to keep something";
}

TEST_F(ManyStreams, StopWithTwoWaitsForTheDisk) {
  append_to_each("one");
  const std::uint64_t before = single_syncs();
  store.close();
  EXPECT_EQ(disk.calls(Call::kSyncAll), 2U) << "messages, then where each log ends";
  EXPECT_LE(single_syncs(), before + 1) << "and the note that the stop was orderly";
  disk.crash(1);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.append(name(0), "two"), SequenceNumber(1)) << "nothing was skipped";
}

TEST_F(ManyStreams, AStopWhoseSyncFailsIsNotNotedAsOrderlyAndNumbersStayUnique) {
  append_to_each("one");
  disk.fail_call(Call::kSyncAll, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
  disk.fail_call(Call::kSync, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
  store.close();
  disk.crash(2);
  store.boot_id = "boot-2";
  ASSERT_TRUE(store.open());
  for (int i = 0; i < kStreams; ++i) {
    const auto next = store.append(name(i), "two");
    ASSERT_TRUE(next) << next.error().what;
    EXPECT_GE(*next, SequenceNumber(1)) << "number 0 was shown";
  }
}

}  // namespace
}  // namespace weir::stream
