#include "stream/repair.h"

#include "base/crc32c.h"
#include "file/memory_file_system.h"
#include "stream/layout.h"
#include "stream/salvage.h"
#include "stream/test_store.h"

#include <array>
#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weir::stream {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Keeps what a salvage finds: stream -> number -> payload.
class Found final : public SalvageSink {
 public:
  Result<void> stream(const StreamReport& report, const std::string& definition) override {
    name_ = report.name;
    definitions[name_] = definition;
    return {};
  }
  Result<void> message(SequenceNumber sequence, std::int64_t, Bytes payload, bool aside) override {
    (aside ? set_aside : messages)[name_][sequence.value()] = std::string(as_text(payload));
    return {};
  }
  Result<void> stream_done() override { return {}; }

  std::map<std::string, std::map<std::int64_t, std::string>> messages;
  std::map<std::string, std::map<std::int64_t, std::string>> set_aside;
  std::map<std::string, std::string> definitions;

 private:
  std::string name_;
};

class RepairTest : public testing::Test {
 protected:
  /// A store with ten messages in one segment of one stream, stopped in order.
  void fill(int count = 10) {
    ASSERT_TRUE(store_.open());
    auto wanted = file_stream("s");
    wanted.stream_segment_size = 1'000'000;
    wanted.max_size = 10'000'000;
    ASSERT_TRUE(store_.create(wanted));
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(store_.append("s", "message " + std::to_string(i)));
    }
    store_.close();
  }
  void flip(const std::string& path, std::uint64_t at) {
    const auto file = disk_.open(path, file::OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    std::array<std::byte, 1> byte{};
    ASSERT_TRUE((*file)->read_at(at, byte));
    byte[0] ^= std::byte{0x40};
    const std::array<Bytes, 1> pieces{Bytes(byte)};
    ASSERT_TRUE((*file)->write_at(at, pieces));
  }
  void lose_definition() {
    const std::string directory = layout::stream_directory(StreamId(1));
    for (const std::string_view name : {layout::kDefinition, layout::kDefinitionBefore}) {
      ASSERT_TRUE(disk_.remove_file(layout::join(directory, name)));
    }
  }
  Result<RepairReport> repair() {
    said_.clear();
    return repair_store(disk_, store_.clock, "boot-1",
                        [this](const std::string& what) { said_.push_back(what); });
  }
  /// Repairs, expects a sound store, and that a second time finds nothing to do.
  void repair_for_good() {
    const auto first = repair();
    ASSERT_TRUE(first) << first.error().what;
    EXPECT_EQ(first->after.worst(), Verdict::kSound);
    const auto what = said_;
    const auto second = repair();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->changes, 0) << said_.front();
    said_ = what;
  }
  std::map<std::int64_t, std::string> served() {
    EXPECT_TRUE(store_.open());
    std::map<std::int64_t, std::string> found;
    for (const StoredMessage& message : store_.read("s")) found[message.number] = message.payload;
    return found;
  }
  /// Where message `i` of `fill` begins: all have one digit.
  static std::uint64_t record_at(std::uint64_t i) {
    return segment::kHeaderBytes + i * (segment::kRecordOverheadBytes + 9);
  }

  const std::unique_ptr<file::FileSystem> owned_ = file::make_memory();
  file::FileSystem& disk_ = *owned_;
  TestStore store_{disk_};
  const std::string segment_ =
      layout::join(layout::stream_directory(StreamId(1)), layout::segment_name(SequenceNumber(0)));
  std::vector<std::string> said_;
};

TEST_F(RepairTest, ASoundStoreIsLeftAlone) {
  fill();
  const auto report = repair();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->changes, 0);
  EXPECT_EQ(report->quarantine, "");
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(RepairTest, DamageInTheMiddleCostsOneMessageAndItsBytesAreKept) {
  fill();
  flip(segment_, record_at(4) + 30);
  repair_for_good();
  EXPECT_THAT(said_, Contains(HasSubstr("message 4 is lost")));
  const auto kept = disk_.list("quarantine/repair-1");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->size(), 1U);
  const auto found = served();
  EXPECT_EQ(found.size(), 9U);
  EXPECT_FALSE(found.contains(4));
  EXPECT_EQ(found.at(5), "message 5");
  EXPECT_EQ(store_.append("s", "next")->value(), 10);
}

TEST_F(RepairTest, SeveralHolesInOneSegmentAreCutOutAtOnce) {
  fill();
  for (const std::uint64_t i : {0U, 3U, 4U, 8U}) flip(segment_, record_at(i) + 30);
  repair_for_good();
  std::set<std::int64_t> numbers;
  for (const auto& [number, payload] : served()) numbers.insert(number);
  EXPECT_THAT(numbers, ElementsAre(1, 2, 5, 6, 7, 9));
}

TEST_F(RepairTest, ADamagedHeaderCostsNothing) {
  fill();
  flip(segment_, 20);
  repair_for_good();
  EXPECT_THAT(said_, Contains(HasSubstr("10 messages saved")));
  EXPECT_EQ(served().size(), 10U);
}

TEST_F(RepairTest, ADefinitionThatIsGoneIsWrittenAgainWithTheNameAndTheMessages) {
  fill();
  lose_definition();
  repair_for_good();
  EXPECT_THAT(said_, Contains(HasSubstr("define those again")));
  EXPECT_EQ(served().size(), 10U);
}

TEST_F(RepairTest, AStreamThatNobodyCanNameIsMovedAsAWhole) {
  fill();
  lose_definition();
  ASSERT_TRUE(disk_.remove_file("names"));
  repair_for_good();
  EXPECT_THAT(said_, Contains(HasSubstr("streams/1 moved to quarantine/repair-1/streams-1")));
  ASSERT_TRUE(store_.open());
  EXPECT_TRUE(store_.opened.empty());
}

TEST_F(RepairTest, AStoreInUseIsNotTouched) {
  fill();
  const auto lock = disk_.lock(layout::kLock);
  ASSERT_TRUE(lock);
  flip(segment_, record_at(4) + 30);
  const auto report = repair();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::kUnavailable);
  EXPECT_THAT(report.error().what, HasSubstr("systemctl stop weir"));
  EXPECT_FALSE(disk_.list("quarantine/repair-1"));
}

TEST_F(RepairTest, AStoreOfANewerFormatIsNotTouched) {
  fill();
  const std::string first = "weir store 9\n";
  std::array<char, 32> line{};
  std::snprintf(line.data(), line.size(), "crc32c %08x\n", crc32c(as_bytes(first)));
  ASSERT_TRUE(file::replace_file(disk_, "FORMAT", as_bytes(first + line.data())));
  const auto report = repair();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::kUnsupported);
  EXPECT_THAT(said_, IsEmpty());
  Found found;
  const auto salvaged = salvage_store(disk_, found);
  ASSERT_FALSE(salvaged);
  EXPECT_EQ(salvaged.error().code, Errc::kUnsupported);
}

TEST_F(RepairTest, WhatWasRepairedBeforeStaysWhenMoreIsDamagedLater) {
  fill();
  flip(segment_, record_at(4) + 30);
  repair_for_good();
  flip(segment_, record_at(1) + 30);
  repair_for_good();
  EXPECT_TRUE(disk_.list("quarantine/repair-1"));
  EXPECT_TRUE(disk_.list("quarantine/repair-2"));
  EXPECT_EQ(served().size(), 8U);
}

TEST_F(RepairTest, NumbersThatWereShownAreNotUsedAgainAfterAnOrderlyStop) {
  fill();
  {
    const auto file = disk_.open(segment_, file::OpenMode::kReadWrite);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->truncate(record_at(6)));
  }
  // The loss is met by a start that appends nothing and stops in order.
  ASSERT_TRUE(store_.open());
  store_.close();
  ASSERT_TRUE(store_.open());
  EXPECT_EQ(store_.append("s", "next")->value(), 10);
}

TEST_F(RepairTest, AMissingBeginningIsToldOnce) {
  fill();
  ASSERT_TRUE(store_.open());
  auto definition_now = file_stream("s");
  definition_now.stream_segment_size = 1'024;
  definition_now.max_size = 10'000'000;
  ASSERT_TRUE(store_.update(definition_now));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store_.append("s", std::string(100, 'x')));
  store_.close();
  ASSERT_TRUE(disk_.remove_file(segment_));
  ASSERT_TRUE(store_.open());
  EXPECT_GT(store_.stream("s").lost_messages(), 0);
  store_.close();
  ASSERT_TRUE(store_.open());
  EXPECT_EQ(store_.stream("s").lost_messages(), 0);
}

TEST_F(RepairTest, ASalvageFindsWhatIsLeftAndChangesNothing) {
  fill();
  flip(segment_, 20);
  flip(segment_, record_at(4) + 30);
  lose_definition();
  Found found;
  const auto report = salvage_store(disk_, found);
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_EQ(found.messages["s"].size(), 9U);
  EXPECT_EQ(found.messages["s"][9], "message 9");
  EXPECT_EQ(found.definitions["s"], "");
  EXPECT_FALSE(disk_.list("quarantine/repair-1"));
}

TEST_F(RepairTest, ASalvageFindsSegmentsThatAStartSetAside) {
  fill();
  ASSERT_TRUE(disk_.rename(segment_, segment_ + ".bad"));
  Found found;
  ASSERT_TRUE(salvage_store(disk_, found));
  EXPECT_TRUE(found.messages["s"].empty());
  EXPECT_EQ(found.set_aside["s"].size(), 10U);
  EXPECT_THAT(found.definitions["s"], HasSubstr("\"s\""));
}

}  // namespace
}  // namespace weir::stream
