#include "base/log.h"
#include "stream/check.h"
#include "stream/definition_file.h"
#include "stream/names_file.h"
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
using ::testing::Not;

// A stream that cannot be opened (reliability.md C6), beside one that can.
class Unavailable : public ::testing::Test {
 protected:
  void SetUp() override {
    errors.clear();
    log::capture([](log::Level level, const std::string& line) {
      if (level == log::Level::kError) errors += line + "\n";
    });
    ASSERT_TRUE(store.open());
    auto pumps = flushing_stream("pumps");
    ASSERT_TRUE(store.create(pumps));
    pumps.exports.push_back(export_to("cloud"));
    ASSERT_TRUE(store.update(pumps)) << "the previous version has no export";
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(store.append("pumps", "message"));
    Cursor cursor;
    cursor.identifier = "cloud";
    cursor.type = model::ExportType::kKinesis;
    cursor.next = SequenceNumber(12);
    ASSERT_TRUE(store.stream("pumps").cursors()->save(cursor));
    ASSERT_TRUE(store.create(file_stream("valves")));
    ASSERT_TRUE(store.append("valves", "open"));
  }
  void TearDown() override { log::capture(nullptr); }

  static model::ExportConfig export_to(const std::string& identifier) {
    model::ExportConfig config;
    config.type = model::ExportType::kKinesis;
    config.identifier = identifier;
    config.target = "target";
    return config;
  }
  void restart() {
    store.forget();
    disk.kill_process();
    errors.clear();
  }
  // Every message, the definition, the position: as before.
  void expect_whole() {
    ASSERT_NE(store.catalog->find("pumps"), nullptr);
    EXPECT_EQ(store.read("pumps").size(), 20U);
    EXPECT_EQ(store.stream("pumps").definition().exports.size(), 1U);
    const auto positions = store.stream("pumps").cursors()->load();
    ASSERT_EQ(positions.size(), 1U);
    EXPECT_EQ(positions[0].next, SequenceNumber(12));
    EXPECT_EQ(store.append("pumps", "next"), SequenceNumber(20));
  }

  static inline std::string errors;
  FaultyFileSystem disk{1};
  TestStore store{disk};
};

TEST_F(Unavailable, AStreamThatTheDiskRefusesToReadKeepsItsNameAndComesBackWhole) {
  restart();
  disk.fail_open_below("streams/1", EIO);
  ASSERT_TRUE(store.open());

  EXPECT_EQ(store.catalog->find("pumps"), nullptr);
  ASSERT_EQ(store.catalog->unavailable().size(), 1U);
  const UnavailableStream* one = store.catalog->find_unavailable("pumps");
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->id, StreamId(1));
  EXPECT_THAT(one->why, HasSubstr("Input/output error"));
  EXPECT_THAT(errors, HasSubstr("stream=pumps"));
  EXPECT_THAT(store.metrics.text(), HasSubstr("weir_stream_unreadable_streams 1\n"));

  const auto created = store.create(file_stream("pumps"));
  ASSERT_FALSE(created) << "a new stream over the old one";
  EXPECT_EQ(created.error().code, Errc::kAlreadyExists);
  for (const auto& outcome : {created, store.update(file_stream("pumps")), store.remove("pumps")}) {
    ASSERT_FALSE(outcome);
    EXPECT_THAT(outcome.error().what, HasSubstr("Input/output error"));
  }
  EXPECT_EQ(store.append("valves", "shut"), SequenceNumber(1)) << "others do not notice";
  EXPECT_TRUE(store.create(file_stream("fans")));

  store.close();
  disk.clear_faults();
  ASSERT_TRUE(store.open());
  EXPECT_THAT(store.catalog->unavailable(), IsEmpty());
  EXPECT_EQ(store.read("valves").size(), 2U);
  expect_whole();
}

TEST_F(Unavailable, ALogThatCannotBeListedIsNoFreeNameEither) {
  store.close();
  int seen = 0;
  for (std::uint64_t nth = 1; nth <= 8; ++nth) {
    SCOPED_TRACE("list call " + std::to_string(nth));
    disk.fail_call(Call::kList, nth, EIO);
    const auto opened = store.open();
    disk.clear_faults();
    if (!opened) continue;  // a store that cannot be listed at all
    for (const char* name : {"pumps", "valves"}) {
      EXPECT_FALSE(store.create(file_stream(name))) << name;
      if (store.catalog->find(name) == nullptr) ++seen;
    }
    store.close();
  }
  EXPECT_GE(seen, 2) << "each of the two once";
  ASSERT_TRUE(store.open());
  expect_whole();
}

// Damage is for ever, unlike a read error: the same applies, at every start.
TEST_F(Unavailable, ADamagedDefinitionKeepsTheNameAtEveryStart) {
  restart();
  for (const char* name : {"streams/1/definition.json", "streams/1/definition.prev"}) {
    disk.flip_bit(name, 20, 3);
  }
  for (int starts = 0; starts < 3; ++starts) {
    ASSERT_TRUE(store.open());
    ASSERT_NE(store.catalog->find_unavailable("pumps"), nullptr);
    EXPECT_FALSE(store.create(file_stream("pumps")));
    store.close();
  }
  const auto report = check_store(disk);
  ASSERT_TRUE(report);
  ASSERT_EQ(report->streams.size(), 2U);
  EXPECT_EQ(report->streams[0].name, "pumps");
  EXPECT_EQ(report->streams[0].definition.verdict, Verdict::kUnreadable);
}

TEST_F(Unavailable, WithoutAnyNameItIsStillTold) {
  restart();
  disk.fail_open_below("streams/1", EIO);
  disk.fail_open_below("names", EIO);
  ASSERT_TRUE(store.open());
  ASSERT_EQ(store.catalog->unavailable().size(), 1U);
  EXPECT_THAT(store.catalog->unavailable()[0].name, IsEmpty());
  EXPECT_EQ(store.catalog->find_unavailable(""), nullptr);
  EXPECT_THAT(errors, HasSubstr("streams/1"));
}

TEST_F(Unavailable, TheNewerDefinitionThatCannotBeReadTodayLosesNothingTomorrow) {
  restart();
  disk.fail_open_below("streams/1/definition.json", EIO);
  ASSERT_TRUE(store.open());
  ASSERT_NE(store.catalog->find("pumps"), nullptr) << "the one before it is used";
  EXPECT_THAT(errors, HasSubstr("goes on with the one before it"));
  EXPECT_THAT(store.stream("pumps").definition().exports, IsEmpty());
  EXPECT_THAT(store.stream("pumps").cursors()->load(), IsEmpty())
      << "or the engine would remove the position of an export it does not know";
  store.close();
  disk.clear_faults();
  ASSERT_TRUE(store.open());
  expect_whole();
}

TEST_F(Unavailable, AnExportMadeAnewMeanwhileHasTheNewerPosition) {
  restart();
  disk.fail_open_below("streams/1/definition.json", EIO);
  ASSERT_TRUE(store.open());
  Cursor cursor;
  cursor.identifier = "cloud";
  cursor.type = model::ExportType::kKinesis;
  cursor.next = SequenceNumber(3);
  ASSERT_TRUE(store.stream("pumps").cursors()->save(cursor));
  store.close();
  disk.clear_faults();
  for (int starts = 0; starts < 2; ++starts) {
    ASSERT_TRUE(store.open());
    const auto positions = store.stream("pumps").cursors()->load();
    ASSERT_EQ(positions.size(), 1U);
    EXPECT_EQ(positions[0].next, SequenceNumber(3));
    store.close();
  }
}

TEST_F(Unavailable, OneOfTwoStreamsOfOneNameIsServedAndTheOtherKept) {
  restart();
  ASSERT_TRUE(disk.make_directory("streams/9"));
  const auto copy = disk.content("streams/2/definition.json");
  ASSERT_TRUE(copy);
  disk.set_content("streams/9/definition.json", *copy);
  ASSERT_TRUE(store.open());
  EXPECT_NE(store.catalog->find("valves"), nullptr);
  ASSERT_EQ(store.catalog->unavailable().size(), 1U);
  EXPECT_THAT(store.catalog->unavailable()[0].why, HasSubstr("names another stream"));
  EXPECT_TRUE(store.remove("valves"));
}

// The run in between stops in order, but never saw this stream's torn end.
TEST_F(Unavailable, ARunWithoutItDoesNotHideThePowerCutBeforeIt) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::vector<StoredMessage> kept[2];
    for (const bool left_out : {false, true}) {
      FaultyFileSystem cut(seed);
      TestStore mine(cut);
      ASSERT_TRUE(mine.open());
      ASSERT_TRUE(mine.create(file_stream("pumps")));
      for (int i = 0; i < 60; ++i) ASSERT_TRUE(mine.append("pumps", "message"));
      mine.forget();
      cut.crash(seed);
      mine.boot_id = "boot-2";
      if (left_out) {
        cut.fail_open_below("streams/1", EIO);
        ASSERT_TRUE(mine.open());
        ASSERT_EQ(mine.catalog->unavailable().size(), 1U);
        mine.close();
        cut.clear_faults();
      }
      ASSERT_TRUE(mine.open());
      kept[left_out ? 1 : 0] = mine.read("pumps");
      ASSERT_TRUE(mine.read_result);
      EXPECT_EQ(mine.stream("pumps").lost_messages(), 0) << "a power cut is not damage";
      const auto next = mine.append("pumps", "next");
      ASSERT_TRUE(next);
      EXPECT_GE(*next, SequenceNumber(60)) << "60 numbers were shown";
    }
    EXPECT_EQ(kept[0], kept[1]);
  }
}

// --- the second list of names ------------------------------------------------------------------

TEST(Names, SurviveHalfALineAndForeignBytes) {
  FaultyFileSystem disk(1);
  NamesFile names(disk);
  names.add(StreamId(1), "a b, c");
  names.add(StreamId(2), "..");
  const auto content = disk.content("names");
  ASSERT_TRUE(content);
  const std::string whole(as_text(*content));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    disk.set_content("names", as_bytes(whole.substr(0, cut)));
    names.add(StreamId(3), "behind");
    auto known = names.load();
    EXPECT_EQ(known[StreamId(3)], "behind") << "cut at " << cut;
    known.erase(StreamId(3));
    for (const auto& [id, name] : known) EXPECT_EQ(name, id == StreamId(1) ? "a b, c" : "..");
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      disk.set_content("names", as_bytes(whole));
      disk.flip_bit("names", at, bit);
      for (const auto& [id, name] : names.load()) {
        EXPECT_EQ(name, id == StreamId(1) ? "a b, c" : "..") << "bit " << bit << " at " << at;
      }
    }
  }
}

TEST(Names, AreWrittenAnewForAStoreThatHasNone) {
  FaultyFileSystem disk(1);
  TestStore store(disk);
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.create(file_stream("old")));
  ASSERT_TRUE(store.create(file_stream("gone")));
  ASSERT_TRUE(store.remove("gone"));
  store.close();
  ASSERT_TRUE(disk.remove_file("names"));
  ASSERT_TRUE(store.open());
  EXPECT_THAT(NamesFile(disk).load(), ElementsAre(std::pair(StreamId(1), std::string("old"))));
}

}  // namespace
}  // namespace weir::stream
