#include "base/crc32c.h"
#include "base/log.h"
#include "file/memory_file_system.h"
#include "stream/check.h"
#include "stream/test_store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace weir::stream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// Puts files where they were, with their directories.
void restore(file::FaultyFileSystem& disk, const std::map<std::string, ByteVector>& files) {
  for (const auto& [path, bytes] : files) {
    for (auto slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const auto made = disk.make_directory(path.substr(0, slash));
      ASSERT_TRUE(made || made.error().code == Errc::kAlreadyExists);
    }
    disk.set_content(path, bytes);
  }
}

class StreamBehaviour : public ::testing::Test {
 protected:
  void SetUp() override {
    log::capture([](log::Level, const std::string&) {});
    open();
  }
  void TearDown() override { log::capture(nullptr); }
  void open() {
    const auto opened = store.open();
    ASSERT_TRUE(opened) << opened.error().what;
  }
  void kill() {
    store.forget();
    disk.kill_process();
    open();
  }
  void fill(const std::string& name, int count, std::size_t bytes = 100) {
    for (int i = 0; i < count; ++i) {
      const auto outcome = store.append(name, std::string(bytes, 'x'));
      ASSERT_TRUE(outcome) << outcome.error().what;
    }
  }
  std::string only_segment(const std::string& name) {
    std::string found;
    const std::string directory = "streams/" + std::to_string(store.stream(name).id().value());
    for (const std::string& path : disk.files()) {
      if (path.starts_with(directory) && path.ends_with(".seg")) found = path;
    }
    return found;
  }

  file::FaultyFileSystem disk;
  TestStore store{disk};
};

// --- create, update, remove -------------------------------------------------------------------

TEST_F(StreamBehaviour, ANameCanBeUsedOnceAndAgainAfterDeletion) {
  ASSERT_TRUE(store.create(file_stream("a")));
  EXPECT_EQ(store.create(file_stream("a")).error().what, "the message stream already exists");
  fill("a", 3);
  const StreamId before = store.stream("a").id();
  const auto log = store.stream("a").log();
  ASSERT_TRUE(store.remove("a"));
  EXPECT_EQ(store.remove("a").error().code, Errc::kNotFound);
  CollectingSink sink;
  EXPECT_EQ(
      log->read(SequenceNumber(0), SequenceNumber(3), 3, ReadMode::kMayBlock, sink).error().code,
      Errc::kNotFound);
  ASSERT_TRUE(store.create(file_stream("a")));
  EXPECT_NE(store.stream("a").id(), before);
  EXPECT_EQ(store.append("a", "first"), SequenceNumber(0));
}

TEST_F(StreamBehaviour, ACreateBehindARemoveOfTheSameNameSeesNothingOld) {
  ASSERT_TRUE(store.create(file_stream("a")));
  fill("a", 3);
  std::vector<std::string> order;
  store.catalog->remove("a", [&](Result<void> outcome) {
    order.push_back(outcome ? "removed" : outcome.error().what);
  });
  EXPECT_EQ(store.catalog->find("a"), nullptr);
  store.catalog->create(file_stream("a"), [&](Result<void> outcome) {
    order.push_back(outcome ? "created" : outcome.error().what);
  });
  store.settle();
  EXPECT_THAT(order, ElementsAre("removed", "created"));
  EXPECT_THAT(store.payloads("a"), IsEmpty());
}

TEST_F(StreamBehaviour, AppendsUnderWayWhenTheirStreamIsRemovedAreAnswered) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  const auto token = store.stage("a", "too late");
  store.catalog->remove("a", [](Result<void>) {});
  store.catalog->commit();
  store.settle();
  EXPECT_EQ(store.outcome(token).error().code, Errc::kNotFound);
}

TEST_F(StreamBehaviour, NamesThatLookLikePathsAreOnlyNames) {
  for (const std::string name :
       {".", "..", " ", "a/b", "A", "a", "a.", "LOCK", "definition.json"}) {
    ASSERT_TRUE(store.create(file_stream(name))) << name;
    ASSERT_TRUE(store.append(name, name));
  }
  kill();
  for (const std::string name : {".", "..", " ", "a/b", "A", "a", "a.", "LOCK"}) {
    EXPECT_THAT(store.payloads(name), ElementsAre(name));
  }
}

TEST_F(StreamBehaviour, TheNumberOfStreamsIsLimited) {
  store.options.streams_max = 2;
  store.forget();
  disk.kill_process();
  open();
  ASSERT_TRUE(store.create(file_stream("a")));
  ASSERT_TRUE(store.create(file_stream("b")));
  const auto refused = store.create(file_stream("c"));
  EXPECT_EQ(refused.error().code, Errc::kFull);
  EXPECT_THAT(refused.error().what, HasSubstr("2 streams"));
}

TEST_F(StreamBehaviour, UpdatesFollowTheTableOfTheProtocol) {
  auto definition = file_stream("a");
  model::ExportConfig config;
  config.type = model::ExportType::kKinesis;
  config.identifier = "cloud";
  config.target = "stream";
  definition.exports = {config};
  ASSERT_TRUE(store.create(definition));
  fill("a", 20);

  auto wanted = definition;
  wanted.persistence = model::Persistence::kMemory;
  EXPECT_EQ(store.update(wanted).error().what, "persistence cannot be updated");
  EXPECT_EQ(store.update(wanted).error().code, Errc::kConflict);

  wanted = definition;
  wanted.max_size = 2'000;
  wanted.stream_segment_size = 1'024;
  EXPECT_EQ(store.update(wanted).error().code, Errc::kConflict);
  wanted.max_size = 4'000;
  wanted.stream_segment_size = 4'001;
  EXPECT_EQ(store.update(wanted).error().code, Errc::kConflict);
  wanted.stream_segment_size = 4'000;
  EXPECT_TRUE(store.update(wanted));

  wanted.exports[0].start_sequence_number = 19;
  const auto refused = store.update(wanted);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(refused.error().what,
              HasSubstr("definition.exportDefinition.kinesis[0].startSequenceNumber: "));
  wanted.exports[0].start_sequence_number = 18;
  EXPECT_TRUE(store.update(wanted));

  EXPECT_THAT(store.updated, SizeIs(2));
  EXPECT_TRUE(store.update(wanted));
  EXPECT_THAT(store.updated, SizeIs(2)) << "an update that changes nothing restarts nothing";
  wanted.name = "b";
  EXPECT_EQ(store.update(wanted).error().code, Errc::kNotFound);
  wanted.name = "a";
  kill();
  auto stored = wanted;
  EXPECT_EQ(store.stream("a").definition(), stored);
}

TEST_F(StreamBehaviour, AMemoryStreamCanBeUpdatedWithoutNamingItsPersistence) {
  ASSERT_TRUE(store.create(memory_stream("a")));
  auto wanted = memory_stream("a");
  wanted.persistence.reset();
  wanted.max_size = 100'000;
  EXPECT_TRUE(store.update(wanted));
  EXPECT_EQ(store.stream("a").definition().persistence, model::Persistence::kMemory);
}

// --- durability -------------------------------------------------------------------------------

TEST_F(StreamBehaviour, AFlushingStreamShowsNothingThatIsNotDurable) {
  store.options.inline_sync_us = 0;  // always by the syncer
  store.forget();
  disk.kill_process();
  open();
  ASSERT_TRUE(store.create(flushing_stream("a")));
  const auto token = store.stage("a", "one");
  store.catalog->commit();
  const LogReader& log = *store.stream("a").log();
  EXPECT_EQ(log.visible_end(), SequenceNumber(0));
  EXPECT_FALSE(store.outcomes.contains(token));
  store.settle();
  EXPECT_EQ(log.visible_end(), SequenceNumber(1));
  EXPECT_EQ(log.durable_end(), SequenceNumber(1));
  EXPECT_EQ(store.outcome(token), SequenceNumber(0));
}

TEST_F(StreamBehaviour, WhatComesDuringASyncSharesTheNextOne) {
  store.options.inline_sync_us = 0;
  store.forget();
  disk.kill_process();
  open();
  ASSERT_TRUE(store.create(flushing_stream("a")));
  ASSERT_TRUE(store.append("a", "warm"));
  const std::uint64_t before = disk.calls(file::Call::kSync);
  for (int i = 0; i < 5; ++i) {
    store.stage("a", "x");
    store.catalog->commit();
  }
  store.settle();
  EXPECT_LE(disk.calls(file::Call::kSync) - before, 2U);
  EXPECT_EQ(store.stream("a").log()->visible_end(), SequenceNumber(6));
}

TEST_F(StreamBehaviour, APlainStreamIsSyncedWithinTheInterval) {
  ASSERT_TRUE(store.create(file_stream("a")));
  ASSERT_TRUE(store.append("a", "one"));
  const LogReader& log = *store.stream("a").log();
  EXPECT_EQ(log.visible_end(), SequenceNumber(1));
  EXPECT_EQ(log.durable_end(), SequenceNumber(0));
  const Instant due = store.catalog->tick();
  EXPECT_LE(due, store.clock.now() + std::chrono::seconds(1));
  store.clock.advance(std::chrono::seconds(1));
  store.catalog->tick();
  store.settle();
  EXPECT_EQ(log.durable_end(), SequenceNumber(1));
  EXPECT_GT(store.durable_moves, 0);
}

TEST_F(StreamBehaviour, AFailedSyncIsNotRepeatedAndNothingAcknowledgedIsForgottenSilently) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 3);
  disk.fail_call(file::Call::kSync, 1, EIO);
  const auto refused = store.append("a", "lost");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kIo);
  EXPECT_EQ(store.stream("a").fault(), "");
  EXPECT_EQ(store.append("a", "next"), SequenceNumber(3));
  EXPECT_THAT(store.payloads("a"), SizeIs(4));
  kill();
  EXPECT_THAT(store.payloads("a"), SizeIs(4));
}

TEST_F(StreamBehaviour, WhatAFailedSyncDroppedFromAPlainStreamIsCounted) {
  ASSERT_TRUE(store.create(file_stream("a")));
  fill("a", 2);
  store.clock.advance(std::chrono::seconds(2));
  store.catalog->tick();
  store.settle();
  ASSERT_EQ(store.stream("a").log()->durable_end(), SequenceNumber(2));
  fill("a", 3);
  disk.fail_call(file::Call::kSync, 1, EIO);
  store.clock.advance(std::chrono::seconds(2));
  store.catalog->tick();
  store.settle();
  const auto next = store.append("a", "after");
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_EQ(*next, SequenceNumber(5)) << "numbers that were shown are not used again";
  EXPECT_EQ(
      static_cast<std::size_t>(store.stream("a").lost_messages()) + store.payloads("a").size(), 6U);
}

TEST_F(StreamBehaviour, ADiskThatRefusesToSyncMakesAStreamReadOnly) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 3);
  disk.fail_call(file::Call::kSync, 1, EIO, file::FaultyFileSystem::Times::kFromThenOn);
  EXPECT_FALSE(store.append("a", "x"));
  EXPECT_FALSE(store.append("a", "x"));
  EXPECT_FALSE(store.append("a", "x"));
  EXPECT_THAT(store.payloads("a"), SizeIs(3));
  disk.clear_faults();
  kill();
  const auto again = store.append("a", "again");
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_GE(*again, SequenceNumber(3));
}

TEST_F(StreamBehaviour, AStreamGoesOnWhenTheDiskSyncsAgain) {
  using Times = file::FaultyFileSystem::Times;
  // Neither a sync nor the move to a new file works for a while, each for another reason.
  int refused = 0;
  for (const auto& [call, error] : {std::pair{file::Call::kSync, EIO},
                                    {file::Call::kCreate, EMFILE},
                                    {file::Call::kOpen, EMFILE},
                                    {file::Call::kWrite, ENOSPC},
                                    {file::Call::kRename, EIO},
                                    {file::Call::kSyncDirectory, ENOSPC}}) {
    for (const bool flushing : {true, false}) {
      SCOPED_TRACE("call kind " + std::to_string(static_cast<int>(call)) +
                   (flushing ? ", flushing" : ""));
      const std::string name = "s" + std::to_string(static_cast<int>(call)) + (flushing ? "f" : "");
      ASSERT_TRUE(store.create(flushing ? flushing_stream(name) : file_stream(name)));
      fill(name, 3);
      disk.fail_call(file::Call::kSync, 1, EIO);
      disk.fail_call(call, 1, error, Times::kFromThenOn);
      const bool taken = store.append(name, "while it fails").has_value();
      for (int i = 0; i < 20; ++i) {
        store.clock.advance(std::chrono::seconds(2));
        store.catalog->tick();
        store.settle();
      }
      refused += store.append(name, "while it fails") ? 0 : 1;
      disk.clear_faults();
      store.clock.advance(std::chrono::minutes(1));
      store.catalog->tick();
      store.settle();
      const auto next = store.append(name, "after");
      ASSERT_TRUE(next) << next.error().what;
      EXPECT_GE(*next, SequenceNumber(taken ? 4 : 3)) << "numbers shown are not used again";
      EXPECT_THAT(store.stream(name).fault(), Not(HasSubstr("can only be read")));
      const auto kept = static_cast<std::int64_t>(store.payloads(name).size());
      EXPECT_EQ(kept + store.stream(name).lost_messages(), *next - SequenceNumber(0) + 1);
    }
  }
  EXPECT_GE(refused, 10) << "a stream with nothing to move does not have to wait";
  kill();
  EXPECT_THAT(store.payloads("s" + std::to_string(static_cast<int>(file::Call::kSync)) + "f"),
              SizeIs(testing::Ge(4)));
}

// --- a full disk ------------------------------------------------------------------------------

TEST_F(StreamBehaviour, AFullDiskIsNamedAndServiceResumesByItself) {
  ASSERT_TRUE(store.create(file_stream("a")));
  fill("a", 3);
  for (const auto& [error, text] : {std::pair{ENOSPC, "no space left on device"},
                                    {EDQUOT, "disk quota exceeded"},
                                    {EFBIG, "file too large"},
                                    {EROFS, "read-only file system"}}) {
    disk.fail_call(file::Call::kWrite, 1, error);
    const auto refused = store.append("a", "refused");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kIo);
    EXPECT_THAT(refused.error().what, HasSubstr(text));
    disk.clear_faults();
  }
  EXPECT_EQ(store.append("a", "accepted"), SequenceNumber(3));
  kill();
  EXPECT_THAT(store.payloads("a"), SizeIs(4));
}

TEST_F(StreamBehaviour, APartialRecordThatCannotBeCutOffDoesNoHarm) {
  ASSERT_TRUE(store.create(file_stream("a")));
  fill("a", 3);
  disk.fail_call(file::Call::kWrite, 1, ENOSPC);
  disk.fail_call(file::Call::kTruncate, 1, EIO);
  ASSERT_FALSE(store.append("a", std::string(300, 'y')));
  disk.clear_faults();
  EXPECT_EQ(store.append("a", "accepted"), SequenceNumber(3));
  EXPECT_THAT(store.payloads("a"), SizeIs(4));
  kill();
  EXPECT_THAT(store.payloads("a"), SizeIs(4));
}

// --- time to live -----------------------------------------------------------------------------

TEST_F(StreamBehaviour, ExpiredSegmentsGoAndAnIdleStreamDrains) {
  auto definition = file_stream("a");
  definition.time_to_live_ms = 60'000;
  ASSERT_TRUE(store.create(definition));
  fill("a", 20);
  store.clock.advance(std::chrono::seconds(61));
  store.catalog->tick();
  store.settle();
  EXPECT_THAT(store.payloads("a"), IsEmpty());
  EXPECT_EQ(store.stream("a").storage_status(), (model::StorageStatus{20, 19, 0}));
  EXPECT_EQ(store.append("a", "next"), SequenceNumber(20));
  kill();
  EXPECT_EQ(store.append("a", "next"), SequenceNumber(21));
}

TEST_F(StreamBehaviour, AStepOfTheWallClockExpiresNothing) {
  auto definition = file_stream("a");
  definition.time_to_live_ms = 60'000;
  ASSERT_TRUE(store.create(definition));
  fill("a", 20);
  store.clock.step_wall_ms(std::int64_t{50} * 365 * 86'400'000);
  store.clock.advance(std::chrono::seconds(30));
  store.catalog->tick();
  store.settle();
  EXPECT_THAT(store.payloads("a"), SizeIs(20));
  // Segments of an earlier run wait for the clock to settle.
  kill();
  store.clock.advance(std::chrono::seconds(200));
  store.catalog->tick();
  store.settle();
  EXPECT_THAT(store.payloads("a"), SizeIs(20));
  store.clock.advance(std::chrono::seconds(200));
  store.catalog->tick();
  store.settle();
  EXPECT_THAT(store.payloads("a"), IsEmpty());
}

// --- damage -----------------------------------------------------------------------------------

TEST_F(StreamBehaviour, AnEmptiedSegmentIsSaidAndTheRestStays) {
  static std::string errors;
  errors.clear();
  auto definition = flushing_stream("a");
  definition.stream_segment_size = 1024;
  ASSERT_TRUE(store.create(definition));
  fill("a", 30);
  std::vector<std::string> segments;
  for (const std::string& path : disk.files()) {
    if (path.ends_with(".seg")) segments.push_back(path);
  }
  std::sort(segments.begin(), segments.end());
  ASSERT_GE(segments.size(), 3U);
  store.forget();
  disk.kill_process();
  disk.set_content(segments[0], {});
  log::capture([](log::Level level, const std::string& line) {
    if (level == log::Level::kError) errors += line;
  });
  open();
  EXPECT_THAT(errors, HasSubstr("A segment is empty; what it held is lost. stream=a"));
  EXPECT_THAT(store.payloads("a"), SizeIs(testing::AllOf(testing::Ge(1), testing::Lt(30))));
  EXPECT_EQ(store.append("a", "next"), SequenceNumber(30));
}

TEST_F(StreamBehaviour, DamageCostsTheDamagedMessageOnlyAndIsCountedOnce) {
  auto definition = flushing_stream("a");
  definition.stream_segment_size = 64 * 1024;
  ASSERT_TRUE(store.create(definition));
  fill("a", 20);
  disk.flip_bit(only_segment("a"), 64 + 5 * 124 + 50, 3);
  EXPECT_THAT(store.read("a"), SizeIs(19));
  EXPECT_THAT(store.read("a"), SizeIs(19));
  EXPECT_EQ(store.stream("a").lost_messages(), 1);
  EXPECT_THAT(store.stream("a").fault(), HasSubstr("messages 5 to 5"));
  const auto report = check_store(disk);
  ASSERT_TRUE(report);
  ASSERT_THAT(report->streams, SizeIs(1));
  EXPECT_TRUE(report->in_use);
  EXPECT_EQ(report->streams[0].lost_messages, 1);
  kill();
  EXPECT_EQ(store.stream("a").lost_messages(), 1);
  EXPECT_EQ(store.append("a", "next"), SequenceNumber(20));
  EXPECT_THAT(store.read("a"), SizeIs(20));
}

TEST_F(StreamBehaviour, AReadThatMustNotBlockLeavesDamageToOneThatMay) {
  auto definition = flushing_stream("a");
  definition.stream_segment_size = 64 * 1024;
  ASSERT_TRUE(store.create(definition));
  fill("a", 20);
  disk.flip_bit(only_segment("a"), 64 + 5 * 124 + 50, 3);
  CollectingSink sink;
  LogReader& log = *store.stream("a").log();
  auto result = log.read(SequenceNumber(0), SequenceNumber(20), 20, ReadMode::kCachedOnly, sink);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->would_block);
  EXPECT_EQ(result->next, SequenceNumber(5));
  result = log.read(result->next, SequenceNumber(20), 20, ReadMode::kMayBlock, sink);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->next, SequenceNumber(20));
  EXPECT_THAT(sink.messages, SizeIs(19));
}

TEST_F(StreamBehaviour, AWrongByteThatTheDiskReturnsOnceIsNotDamage) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 20);
  disk.flip_bits_on_read(0.02);
  for (int i = 0; i < 200; ++i) {
    for (const StoredMessage& message : store.read("a")) {
      ASSERT_EQ(message.payload, std::string(100, 'x'));
    }
  }
  disk.flip_bits_on_read(0);
  EXPECT_EQ(
      store.payloads("a").size() + static_cast<std::size_t>(store.stream("a").lost_messages()),
      20U);
}

TEST_F(StreamBehaviour, AReadErrorFailsThatReadOnly) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 5);
  disk.fail_call(file::Call::kRead, 1, EIO);
  EXPECT_THAT(store.read("a"), IsEmpty());
  EXPECT_EQ(store.read_result.error().code, Errc::kIo);
  EXPECT_THAT(store.read("a"), SizeIs(5));
}

TEST_F(StreamBehaviour, EveryDamageToAnyFileOfAStoppedStoreLeavesAStoreThatStarts) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 30);
  Cursor cursor;
  cursor.identifier = "cloud";
  cursor.next = SequenceNumber(25);
  ASSERT_TRUE(store.stream("a").cursors()->save(cursor));
  store.close();
  std::map<std::string, ByteVector> intact;
  for (const std::string& path : disk.files()) intact[path] = *disk.content(path);
  for (const auto& [victim, content] : intact) {
    for (std::size_t size = 0; size <= content.size(); size += 1 + content.size() / 37) {
      for (const bool zero : {false, true}) {
        SCOPED_TRACE(victim + (zero ? " zeroed from " : " cut at ") + std::to_string(size));
        file::FaultyFileSystem copy;
        restore(copy, intact);
        ByteVector damaged(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(size));
        if (zero) damaged.resize(content.size());
        copy.set_content(victim, damaged);
        TestStore other(copy);
        const auto opened = other.open();
        ASSERT_TRUE(opened) << opened.error().what;
        ASSERT_NE(other.catalog->find("a"), nullptr);
        for (const StoredMessage& message : other.read("a")) {
          ASSERT_EQ(message.payload, std::string(100, 'x'));
        }
        const bool is_segment = victim.ends_with(".seg");
        const std::size_t least = is_segment ? 30 - 8 : 30;
        ASSERT_GE(other.read("a").size(), least);
        const auto next = other.append("a", "after");
        ASSERT_TRUE(next) << next.error().what;
        ASSERT_GE(next->value(), 30);
      }
    }
  }
}

TEST(PowerCuts, TakeTheEndOfAYoungStreamAndNeverItsBeginning) {
  log::capture([](log::Level, const std::string&) {});
  std::set<std::size_t> kept;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    file::FaultyFileSystem disk;
    TestStore store(disk);
    ASSERT_TRUE(store.open());
    ASSERT_TRUE(store.create(file_stream("a")));
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(store.append("a", std::to_string(i) + "-of-many"));
    store.forget();
    disk.crash(seed);
    store.boot_id = "boot-2";
    ASSERT_TRUE(store.open());
    const auto left = store.payloads("a");
    for (std::size_t i = 0; i < left.size(); ++i) {
      ASSERT_EQ(left[i], std::to_string(i) + "-of-many");
    }
    kept.insert(left.size());
    // And once more, for what the first start wrote.
    const auto next = store.append("a", "next");
    ASSERT_TRUE(next);
    ASSERT_GE(*next, SequenceNumber(60)) << "numbers that were shown are not used again";
    store.close();
    ASSERT_TRUE(store.open());
    ASSERT_EQ(store.payloads("a").size(), left.size() + 1);
    ASSERT_EQ(store.stream("a").lost_messages(), 0) << "none of it was promised to survive";
  }
  EXPECT_GT(kept.size(), 3U) << "the cuts were to differ";
  log::capture(nullptr);
}

TEST_F(StreamBehaviour, AMissingFirstSegmentIsCountedAsLostOnce) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 30);
  const std::string directory = "streams/" + std::to_string(store.stream("a").id().value());
  const std::size_t before = store.read("a").size();
  store.close();
  std::string first;
  for (const std::string& path : disk.files()) {
    if (first.empty() && path.starts_with(directory) && path.ends_with(".seg")) first = path;
  }
  ASSERT_TRUE(disk.remove_file(first));
  open();
  const auto left = store.read("a").size();
  ASSERT_LT(left, before);
  const auto lost = static_cast<std::int64_t>(before - left);
  EXPECT_EQ(store.stream("a").lost_messages(), lost);
  store.close();
  open();
  EXPECT_LE(store.stream("a").lost_messages(), lost) << "counted once";
}

TEST_F(StreamBehaviour, AStreamGoesOnWhereItsStateBecameADirectory) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  fill("a", 5);
  const std::string state = "streams/" + std::to_string(store.stream("a").id().value()) + "/state";
  store.close();
  ASSERT_TRUE(disk.remove_file(state));
  ASSERT_TRUE(disk.make_directory(state));
  open();
  EXPECT_THAT(store.payloads("a"), SizeIs(5));
  fill("a", 5);
  EXPECT_THAT(store.payloads("a"), SizeIs(10));
}

TEST_F(StreamBehaviour, AStreamWithoutAReadableDefinitionIsKeptAndReported) {
  ASSERT_TRUE(store.create(flushing_stream("a")));
  ASSERT_TRUE(store.create(flushing_stream("b")));
  fill("a", 5);
  const std::string directory = "streams/" + std::to_string(store.stream("a").id().value());
  store.close();
  disk.set_content(directory + "/definition.json", as_bytes("{}"));
  disk.set_content(directory + "/definition.prev", as_bytes(""));
  open();
  EXPECT_EQ(store.catalog->find("a"), nullptr);
  EXPECT_NE(store.catalog->find("b"), nullptr);
  const auto report = check_store(disk);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->streams[0].definition.verdict, Verdict::kUnreadable);
  EXPECT_FALSE(store.create(flushing_stream("a"))) << "its name is not free";
}

// --- whose directory --------------------------------------------------------------------------

TEST(StoreDirectory, AForeignOneIsRefusedByName) {
  file::FaultyFileSystem disk;
  ASSERT_TRUE(disk.make_directory("stream_manager_metadata_store"));
  TestStore store(disk);
  const auto refused = store.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().what, HasSubstr("stream_manager_metadata_store"));
  file::FaultyFileSystem other;
  other.set_content("holiday.jpg", as_bytes("x"));
  TestStore second(other);
  EXPECT_THAT(second.open().error().what, HasSubstr("holiday.jpg"));
}

TEST(StoreDirectory, ANewerFormatAndARunningWeirAreRefused) {
  file::FaultyFileSystem disk;
  TestStore store(disk);
  ASSERT_TRUE(store.open());
  TestStore second(disk);
  EXPECT_EQ(second.open().error().code, Errc::kUnavailable);
  store.close();
  const std::string newer = "weir store 2\n";
  std::array<char, 32> line{};
  std::snprintf(line.data(), line.size(), "crc32c %08x\n", crc32c(as_bytes(newer)));
  disk.set_content("FORMAT", as_bytes(newer + line.data()));
  EXPECT_EQ(second.open().error().code, Errc::kUnsupported);
}

}  // namespace
}  // namespace weir::stream
