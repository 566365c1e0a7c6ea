#include "base/log.h"
#include "stream/layout.h"
#include "stream/quarantine.h"
#include "stream/test_store.h"

#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::stream {
namespace {

using file::Call;
using file::FaultyFileSystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Times = FaultyFileSystem::Times;

class Scarcity : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
  }
  void TearDown() override { log::capture(nullptr); }
  void restart() {
    store.forget();
    disk.kill_process();
    ASSERT_TRUE(store.open());
  }

  FaultyFileSystem disk{1};
  TestStore store{disk};
};

// --- little free space (F6) --------------------------------------------------------------------

// A disk of 10 MB: less than 1 % of it, 100 kB, is low; 125 kB is enough again.
class LowSpace : public Scarcity {
 protected:
  static constexpr std::uint64_t kDisk = 10'000'000;

  void SetUp() override {
    Scarcity::SetUp();
    disk.set_capacity(kDisk);
    store.options.min_free_bytes = 1 << 30;
    ASSERT_TRUE(store.open());
    ring_.max_size = 16 * 1024;
    ring_.strategy_on_full = model::StrategyOnFull::kOverwriteOldestData;
    ASSERT_TRUE(store.create(file_stream("keeps")));
    ASSERT_TRUE(store.create(ring_));
    ASSERT_TRUE(store.create(memory_stream("cache")));
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(store.append("keeps", kPayload));
      ASSERT_TRUE(store.append("ring", kPayload));
    }
  }
  // Another program leaves this much; weir looks about once a second.
  void leave(std::uint64_t bytes) {
    disk.set_content("ballast", {});
    const std::uint64_t free = disk.space()->free_bytes;
    disk.set_content("ballast", ByteVector(free - bytes));
    store.clock.advance(std::chrono::seconds(2));
    store.catalog->tick();
    store.settle();
  }
  std::uint64_t free_bytes() { return disk.space()->free_bytes; }

  const std::string kPayload = std::string(100, 'x');
  model::StreamDefinition ring_ = file_stream("ring");
};

TEST_F(LowSpace, AppendsStopBeforeTheDiskIsFullAndSayWhy) {
  leave(99'000);
  const auto refused = store.append("keeps", kPayload);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kIo);
  EXPECT_THAT(refused.error().what, HasSubstr("no space left on device"));
  EXPECT_THAT(refused.error().what, HasSubstr("min_free_bytes"));
  EXPECT_THAT(store.metrics.text(), HasSubstr("weir_stream_low_space 1\n"));
  EXPECT_THAT(store.metrics.text(),
              HasSubstr("weir_stream_rejected_messages_total{reason=\"low_space\"} 1\n"));

  EXPECT_EQ(store.read("keeps").size(), 40U);
  EXPECT_TRUE(store.append("cache", kPayload)) << "memory needs no disk";
  EXPECT_TRUE(store.remove("keeps")) << "which gives space back";
}

TEST_F(LowSpace, AStreamThatOverwritesLivesOnWhatItFreesItself) {
  leave(99'000);
  const std::uint64_t before = free_bytes();
  std::int64_t newest = 39;
  for (int i = 0; i < 400; ++i) {
    const auto taken = store.append("ring", kPayload);
    ASSERT_TRUE(taken) << taken.error().what;
    newest = taken->value();
  }
  EXPECT_EQ(newest, 439) << "no number is skipped";
  // A segment is begun before the space of the one it replaces is back.
  EXPECT_GE(free_bytes() + 4 * 1'024, before) << "it takes nothing from others";
  const auto messages = store.read("ring");
  ASSERT_THAT(messages, ::testing::Not(IsEmpty()));
  EXPECT_EQ(messages.back().number, newest);
  EXPECT_THAT(store.metrics.text(),
              ::testing::ContainsRegex("removed_messages_total.reason=\"low_space\". [1-9]"));
  const auto too_large = store.append("ring", std::string(40'000, 'x'));
  EXPECT_FALSE(too_large);
  restart();
  EXPECT_EQ(store.read("ring").back().number, newest);
}

TEST_F(LowSpace, ServiceResumesWithSomeSpaceToSpareSoThatItDoesNotFlap) {
  leave(99'000);
  ASSERT_FALSE(store.append("keeps", kPayload));
  leave(110'000);
  EXPECT_FALSE(store.append("keeps", kPayload)) << "not yet a quarter above the mark";
  leave(130'000);
  EXPECT_EQ(store.append("keeps", kPayload), SequenceNumber(40));
  EXPECT_THAT(store.metrics.text(), HasSubstr("weir_stream_low_space 0\n"));
  leave(110'000);
  EXPECT_EQ(store.append("keeps", kPayload), SequenceNumber(41)) << "still above the mark";
}

TEST_F(LowSpace, AStartOnANearlyFullDiskServesWhatIsThere) {
  leave(50'000);
  store.forget();
  disk.kill_process();
  disk.set_capacity(kDisk);
  ASSERT_TRUE(store.open());
  EXPECT_EQ(store.read("keeps").size(), 40U);
  EXPECT_FALSE(store.append("keeps", kPayload));
}

// --- file descriptors --------------------------------------------------------------------------

TEST_F(Scarcity, WithoutDescriptorsANewSegmentIsRefusedByNameAndNothingIsLost) {
  ASSERT_TRUE(store.open());
  for (const auto& definition : {file_stream("plain"), flushing_stream("flush")}) {
    SCOPED_TRACE(definition.name);
    ASSERT_TRUE(store.create(definition));
    disk.fail_call(Call::kCreate, 1, EMFILE, Times::kFromThenOn);
    std::int64_t taken = 0;
    Result<SequenceNumber> outcome = SequenceNumber(0);
    for (int i = 0; i < 40; ++i) {
      outcome = store.append(definition.name, std::string(100, 'x'));
      if (outcome) ++taken;
    }
    ASSERT_FALSE(outcome) << "a segment holds fewer than that";
    EXPECT_EQ(outcome.error().code, Errc::kIo);
    EXPECT_THAT(outcome.error().what, HasSubstr("oo many open files"));
    EXPECT_EQ(store.read(definition.name).size(), static_cast<std::size_t>(taken));
    disk.clear_faults();
    EXPECT_EQ(store.append(definition.name, "again"), SequenceNumber(taken))
        << "without a restart, and without a gap";
    restart();
    EXPECT_EQ(store.read(definition.name).size(), static_cast<std::size_t>(taken) + 1);
  }
}

TEST_F(Scarcity, WithoutDescriptorsAReadFailsAndTheNextOneWorks) {
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.create(file_stream("a")));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(store.append("a", std::string(100, 'x')));
  restart();
  disk.fail_call(Call::kOpen, 1, EMFILE, Times::kFromThenOn);
  EXPECT_THAT(store.read("a"), IsEmpty());
  ASSERT_FALSE(store.read_result);
  EXPECT_EQ(store.read_result.error().code, Errc::kIo);
  EXPECT_THAT(store.read_result.error().what, HasSubstr("oo many open files"));
  disk.clear_faults();
  EXPECT_EQ(store.read("a").size(), 40U);
  EXPECT_EQ(store.stream("a").lost_messages(), 0) << "it was never taken for damage";
}

TEST_F(Scarcity, WithoutDescriptorsACreateLeavesNothing) {
  ASSERT_TRUE(store.open());
  disk.fail_call(Call::kCreate, 1, EMFILE, Times::kFromThenOn);
  const auto refused = store.create(file_stream("a"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("oo many open files"));
  const auto left = disk.list(layout::kStreams);
  ASSERT_TRUE(left);
  EXPECT_EQ(left->size(), 0U) << "not even a directory";
  disk.clear_faults();
  EXPECT_TRUE(store.create(file_stream("a")));
}

// --- the quarantine ----------------------------------------------------------------------------

class QuarantineBound : public Scarcity {
 protected:
  void SetUp() override {
    Scarcity::SetUp();
    ASSERT_TRUE(disk.make_directory(layout::kQuarantine));
    disk.set_content("damaged", ByteVector(10'000));
  }
  // What each kept item begins with: its place in the damaged file.
  std::vector<std::string> kept() {
    std::vector<std::string> offsets;
    bytes = 0;
    for (const std::string& path : disk.files()) {
      if (!path.starts_with("quarantine/")) continue;
      offsets.push_back(path.substr(path.rfind('-') + 1));
      bytes += disk.content(path)->size();
    }
    return offsets;
  }
  metrics::Registry registry;
  std::size_t bytes = 0;
};

TEST_F(QuarantineBound, TheOldestGoFirstAndTheBoundHolds) {
  Quarantine quarantine(disk, registry, 1'000);
  for (std::uint64_t at = 0; at < 3'000; at += 300) {
    quarantine.keep(StreamId(1), "damaged", at, 300);
    kept();
    EXPECT_LE(bytes, 1'000U);
  }
  EXPECT_THAT(kept(), ElementsAre("2100", "2400", "2700"));
  EXPECT_THAT(registry.text(), HasSubstr("weir_stream_quarantined_bytes_total 3000\n"));
}

TEST_F(QuarantineBound, CountsWhatEarlierRunsLeft) {
  Quarantine(disk, registry, 1'000).keep(StreamId(1), "damaged", 0, 900);
  Quarantine next(disk, registry, 1'000);
  next.load();
  next.keep(StreamId(1), "damaged", 5'000, 200);
  EXPECT_THAT(kept(), ElementsAre("5000"));
  Quarantine smaller(disk, registry, 100);
  smaller.load();
  smaller.keep(StreamId(1), "damaged", 7'000, 50);
  EXPECT_THAT(kept(), ElementsAre("7000")) << "a smaller bound holds from the next item on";
}

TEST_F(QuarantineBound, WhatIsLargerThanAllOfItPushesNothingOut) {
  Quarantine quarantine(disk, registry, 1'000);
  quarantine.keep(StreamId(1), "damaged", 0, 400);
  quarantine.keep(StreamId(1), "damaged", 1'000, 1'001);
  EXPECT_THAT(kept(), ElementsAre("0"));
  Quarantine none(disk, registry, 0);
  none.keep(StreamId(1), "damaged", 2'000, 1);
  EXPECT_THAT(kept(), ElementsAre("0"));
}

TEST_F(QuarantineBound, AFullDiskLeavesNoHalfCopyAndDoesNotStopAnything) {
  Quarantine quarantine(disk, registry, 1'000);
  disk.fail_call(Call::kWrite, 1, ENOSPC);
  quarantine.keep(StreamId(1), "damaged", 0, 400);
  EXPECT_THAT(kept(), IsEmpty());
  quarantine.keep(StreamId(1), "damaged", 400, 400);
  EXPECT_THAT(kept(), ElementsAre("400"));
}

}  // namespace
}  // namespace weir::stream
