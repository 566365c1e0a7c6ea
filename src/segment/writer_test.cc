#include "base/rng.h"
#include "base/testing.h"
#include "base/testing_allocations.h"
#include "file/faulty_file_system.h"
#include "file/memory_file_system.h"
#include "file/posix_file_system.h"
#include "segment/segment.h"

#include <array>
#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <string>

namespace weir::segment {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Header kHeader{77, SequenceNumber(5), 1'000};

Result<void> append(Writer& writer, const std::vector<std::string>& payloads,
                    std::int64_t append_ms = 2'000) {
  std::vector<Writer::Entry> entries;
  entries.reserve(payloads.size());
  for (const std::string& payload : payloads) entries.push_back({append_ms, as_bytes(payload)});
  return writer.append(entries);
}

/// All payloads, as a scan and then decoding one by one find them.
std::vector<std::string> read_back(file::File& file) {
  const auto scanned = scan(file, kHeader.stream_identity);
  EXPECT_TRUE(scanned) << scanned.error().what;
  if (!scanned) return {};
  EXPECT_THAT(scanned->holes, IsEmpty());
  ByteVector bytes(scanned->valid_end);
  EXPECT_EQ(file.read_at(0, bytes).value(), bytes.size());
  std::vector<std::string> payloads;
  SequenceNumber next = scanned->header.base;
  for (std::uint64_t offset = kHeaderBytes; offset < bytes.size(); ++next) {
    const Decoded decoded =
        decode_record(Bytes(bytes).subspan(offset), record_seed(scanned->header), next);
    EXPECT_EQ(decoded.kind, Decoded::Kind::kRecord);
    if (decoded.kind != Decoded::Kind::kRecord) break;
    payloads.emplace_back(as_text(decoded.record.payload));
    offset += decoded.bytes;
  }
  return payloads;
}

/// A file system that counts writes and takes them without looking, for counting what the writer
/// itself costs.
class CountingFile final : public file::File {
 public:
  Result<std::size_t> read_at(std::uint64_t, MutableBytes) override { return std::size_t{0}; }
  Result<std::optional<std::size_t>> try_read_at(std::uint64_t, MutableBytes) override {
    return std::optional<std::size_t>(0);
  }
  Result<void> write_at(std::uint64_t, std::span<const Bytes> pieces) override {
    ++writes;
    pieces_seen += pieces.size();
    return {};
  }
  Result<void> sync() override { return {}; }
  Result<void> truncate(std::uint64_t) override {
    ++truncations;
    return {};
  }
  [[nodiscard]] Result<std::uint64_t> size() const override { return kHeaderBytes; }
  void reserve(std::uint64_t offset, std::uint64_t bytes) override {
    reserved.emplace_back(offset, bytes);
  }
  void expect_small_writes(std::uint64_t offset, std::uint64_t bytes) override {
    small_writes.reset();
    if (bytes > 0) small_writes = {offset, bytes};
  }

  std::optional<std::pair<std::uint64_t, std::uint64_t>> small_writes;
  std::size_t truncations = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> reserved;
  std::size_t writes = 0;
  std::size_t pieces_seen = 0;
};

TEST(Writing, AppendsSmallAndLargeRecordsInGroups) {
  const auto files = file::make_memory();
  Writer writer = std::move(Writer::create(*files, "s", kHeader).value());
  Rng rng(3);
  std::vector<std::string> all;
  for (int group = 0; group < 30; ++group) {
    std::vector<std::string> payloads;
    for (std::uint64_t i = rng.below(40) + 1; i > 0; --i) {
      const std::size_t size = rng.chance(0.1) ? rng.below(100'000) + 1 : rng.below(300) + 1;
      payloads.emplace_back(size, static_cast<char>('a' + rng.below(26)));
    }
    ASSERT_TRUE(append(writer, payloads));
    all.insert(all.end(), payloads.begin(), payloads.end());
    EXPECT_EQ(writer.next(), SequenceNumber(5 + static_cast<std::int64_t>(all.size())));
    EXPECT_EQ(writer.file()->size().value(), writer.end_offset());
  }
  EXPECT_EQ(read_back(*writer.file()), all);
}

TEST(Writing, AGroupOfThousandsIsComplete) {
  const auto files = file::make_memory();
  Writer writer = std::move(Writer::create(*files, "s", kHeader).value());
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < 5'000; ++i) {
    payloads.emplace_back(i % 50 == 0 ? 5'000 : 1 + i % 200, static_cast<char>('a' + i % 26));
  }
  ASSERT_TRUE(append(writer, payloads));
  EXPECT_EQ(read_back(*writer.file()), payloads);
  EXPECT_TRUE(writer.append({}));
}

TEST(Writing, AWarmAppendIsOneWriteWithoutAllocation) {
  const auto file = std::make_shared<CountingFile>();
  Writer writer = std::move(Writer::resume(file, kHeader, kHeaderBytes, SequenceNumber(5)).value());
  const std::string small(512, 's');
  const std::string large(50'000, 'l');
  const std::array<Writer::Entry, 3> group{
      {{1, as_bytes(small)}, {1, as_bytes(large)}, {1, as_bytes(small)}}};
  const std::array<Writer::Entry, 1> single{{{1, as_bytes(small)}}};
  ASSERT_TRUE(writer.append(group));
  file->writes = file->pieces_seen = 0;
  weir::testing::allocations = 0;
  weir::testing::counting_allocations = true;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(writer.append(single));
    ASSERT_TRUE(writer.append(group));
  }
  weir::testing::counting_allocations = false;
  EXPECT_EQ(weir::testing::allocations, 0);
  EXPECT_EQ(file->writes, 200U);
  EXPECT_EQ(file->pieces_seen, 100U * 1 + 100U * 3) << "small ones in one piece, large ones as is";
}

TEST(Writing, CreatesNothingThatIsThereAndLeavesNothingThatFailed) {
  file::FaultyFileSystem disk;
  ASSERT_TRUE(Writer::create(disk, "s", kHeader));
  EXPECT_EQ(Writer::create(disk, "s", kHeader).error().code, Errc::kAlreadyExists);
  for (const file::Call call : {file::Call::kCreate, file::Call::kWrite, file::Call::kSync}) {
    disk.fail_call(call, 1, ENOSPC);
    const auto refused = Writer::create(disk, "t", kHeader);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().os_errno, ENOSPC);
    EXPECT_THAT(disk.files(), ::testing::ElementsAre("s"));
  }
}

TEST(Writing, AFailedAppendLeavesNothingBehind) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    file::FaultyFileSystem disk(seed);
    Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
    ASSERT_TRUE(append(writer, {"one", "two"}));
    const std::uint64_t end = writer.end_offset();
    disk.fail_call(file::Call::kWrite, 1, ENOSPC);
    const auto refused = append(writer, {"three", std::string(9'000, 'x'), "five"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().os_errno, ENOSPC);
    EXPECT_THAT(refused.error().what, HasSubstr("No space left on device"));
    EXPECT_TRUE(writer.usable());
    EXPECT_EQ(writer.end_offset(), end);
    EXPECT_EQ(writer.file()->size().value(), end);
    ASSERT_TRUE(append(writer, {"six"}));
    EXPECT_EQ(read_back(*writer.file()), (std::vector<std::string>{"one", "two", "six"}));
  }
}

TEST(Writing, AGroupThatFailsHalfWayIsCutOffAsAWhole) {
  file::FaultyFileSystem disk;
  Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
  ASSERT_TRUE(append(writer, {"one"}));
  const std::vector<std::string> large(300, std::string(4'000, 'x'));  // several writes
  disk.fail_call(file::Call::kWrite, 3, EDQUOT);
  ASSERT_FALSE(append(writer, large));
  EXPECT_EQ(writer.next(), SequenceNumber(6));
  ASSERT_TRUE(append(writer, {"two"}));
  EXPECT_EQ(read_back(*writer.file()), (std::vector<std::string>{"one", "two"}));
}

TEST(Writing, StopsWhenItCannotCutOffWhatFailed) {
  file::FaultyFileSystem disk;
  Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
  ASSERT_TRUE(append(writer, {"one"}));
  disk.fail_call(file::Call::kWrite, 1, EIO);
  disk.fail_call(file::Call::kTruncate, 1, EROFS);
  const auto refused = append(writer, {"two"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().os_errno, EIO);
  EXPECT_THAT(refused.error().what, HasSubstr("Read-only file system"));
  EXPECT_FALSE(writer.usable());
  EXPECT_EQ(writer.next(), SequenceNumber(6));
}

TEST(WritingAhead, ZerosAreOverwrittenAndCutOff) {
  const auto files = file::make_memory();
  Writer writer = std::move(Writer::create(*files, "s", kHeader).value());
  ASSERT_TRUE(append(writer, {"one"}));
  writer.write_zeros_ahead(200'000);
  EXPECT_EQ(writer.zeros_ready(), 200'000U);
  EXPECT_EQ(read_back(*writer.file()), (std::vector<std::string>{"one"}));
  EXPECT_FALSE(scan(*writer.file(), kHeader.stream_identity)->torn_tail);

  ASSERT_TRUE(append(writer, {"two", std::string(100'000, 'x')}));
  EXPECT_EQ(writer.zeros_ready(), 200'000U - 24 - 3 - 24 - 100'000);
  EXPECT_EQ(read_back(*writer.file()).size(), 3U);
  ASSERT_TRUE(append(writer, {std::string(200'000, 'y')}));
  EXPECT_EQ(writer.zeros_ready(), 0U);

  writer.write_zeros_ahead(100);
  writer.write_zeros_ahead(50);
  EXPECT_EQ(writer.zeros_ready(), 100U);
  ASSERT_TRUE(writer.cut_zeros());
  EXPECT_EQ(writer.zeros_ready(), 0U);
  EXPECT_EQ(writer.file()->size().value(), writer.end_offset());
  EXPECT_EQ(read_back(*writer.file()).size(), 4U);
}

TEST(WritingAhead, FailureChangesNothing) {
  file::FaultyFileSystem disk;
  Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
  ASSERT_TRUE(append(writer, {"one"}));
  disk.set_capacity(writer.end_offset() + 70'000);
  writer.write_zeros_ahead(200'000);
  EXPECT_EQ(writer.zeros_ready(), 64U * 1024);
  ASSERT_TRUE(append(writer, {"two"}));
  ASSERT_TRUE(writer.cut_zeros());
  EXPECT_EQ(writer.file()->size().value(), writer.end_offset());
  EXPECT_EQ(read_back(*writer.file()), (std::vector<std::string>{"one", "two"}));
}

TEST(SettingRoomAside, IsDoneForLargeGroupsOnlyAndEndsWhereTheSegmentMay) {
  constexpr std::uint64_t kSize = 8 << 20;
  const auto file = std::make_shared<CountingFile>();
  Writer writer = std::move(Writer::resume(file, kHeader, kHeaderBytes, SequenceNumber(0)).value());
  const std::string payload(1'000, 'x');
  const std::vector<Writer::Entry> small(10, {0, as_bytes(payload)});
  const std::vector<Writer::Entry> large(200, {0, as_bytes(payload)});
  ASSERT_TRUE(writer.append(large));
  EXPECT_TRUE(file->reserved.empty()) << "nobody said how large the segment may become";
  writer.expect_size(kSize);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer.append(small));
  EXPECT_TRUE(file->reserved.empty()) << "a slow stream needs little";
  while (writer.end_offset() < kSize) ASSERT_TRUE(writer.append(large));
  ASSERT_EQ(file->reserved.size(), 2U);
  const auto [first, first_bytes] = file->reserved.front();
  EXPECT_EQ(first_bytes, 4U << 20U);
  EXPECT_EQ(file->reserved.back().first, first + first_bytes) << "without a gap";
  EXPECT_EQ(file->reserved.back().first + file->reserved.back().second, kSize);
}

TEST(SettingRoomAside, WhatIsLeftIsGivenBack) {
  const auto file = std::make_shared<CountingFile>();
  Writer writer = std::move(Writer::resume(file, kHeader, kHeaderBytes, SequenceNumber(0)).value());
  const std::string payload(1'000, 'x');
  const std::vector<Writer::Entry> large(200, {0, as_bytes(payload)});
  writer.expect_size(16 << 20);
  ASSERT_TRUE(writer.append(large));
  ASSERT_EQ(file->reserved.size(), 1U);
  const std::size_t before = file->truncations;
  ASSERT_TRUE(writer.cut_zeros());
  EXPECT_EQ(file->truncations, before + 1);
  ASSERT_TRUE(writer.cut_zeros());
  EXPECT_EQ(file->truncations, before + 1) << "once";
}

TEST(SmallGroups, AreCopiedOverZerosThatWereWrittenAhead) {
  constexpr std::uint64_t kSize = 100'000;
  const auto file = std::make_shared<CountingFile>();
  Writer writer = std::move(Writer::resume(file, kHeader, kHeaderBytes, SequenceNumber(0)).value());
  const std::string payload(500, 'x');
  const std::vector<Writer::Entry> small(1, {0, as_bytes(payload)});
  const std::vector<Writer::Entry> large(10, {0, as_bytes(payload)});
  writer.expect_size(kSize);
  ASSERT_TRUE(writer.append(small));
  EXPECT_EQ(file->small_writes, std::nullopt) << "nobody said that more of them will come";

  writer.expect_small_groups(true);
  ASSERT_TRUE(writer.append(small));
  ASSERT_TRUE(file->small_writes.has_value());
  const auto [begin, bytes] = *file->small_writes;
  EXPECT_EQ(begin, writer.end_offset());
  EXPECT_EQ(begin + bytes, 12'288U) << "the rest of this page and two more";
  EXPECT_EQ(writer.zeros_ready(), bytes) << "all of it exists";

  const std::size_t before = file->writes;
  std::size_t groups = 0;
  for (; file->small_writes->first == begin; ++groups) ASSERT_TRUE(writer.append(small));
  EXPECT_EQ(groups, bytes / 524) << "moved when there is no room for another one";
  EXPECT_EQ(file->writes, before + groups + 1) << "the zeros of the next pages in one write";
  EXPECT_EQ(file->small_writes->first, writer.end_offset());

  ASSERT_TRUE(writer.append(large));
  EXPECT_EQ(file->small_writes, std::nullopt) << "large groups gain nothing";
  while (writer.end_offset() + 600 < kSize) {
    ASSERT_TRUE(writer.append(small));
    ASSERT_LE(writer.end_offset() + writer.zeros_ready(), kSize) << "not beyond the segment";
  }
  writer.expect_small_groups(false);
  ASSERT_TRUE(writer.append(small));
  EXPECT_EQ(file->small_writes, std::nullopt);
}

TEST(SmallGroups, NoRoomForZerosChangesNothing) {
  file::FaultyFileSystem disk;
  Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
  writer.expect_size(1 << 20);
  writer.expect_small_groups(true);
  disk.set_capacity(writer.end_offset() + 5'000);
  std::vector<std::string> written;
  while (append(writer, {std::string(300, 'a')})) written.emplace_back(300, 'a');
  EXPECT_GT(written.size(), 10U);
  ASSERT_TRUE(writer.usable());
  EXPECT_EQ(writer.file()->size().value(), writer.end_offset()) << "a failed append cuts the file";
  EXPECT_EQ(read_back(*writer.file()), written);
}

TEST(SmallGroups, OnARealDiskAreWhatAScanFindsAfterEachOfThem) {
  const weir::testing::TemporaryDirectory directory;
  const auto files = std::move(file::open_posix(directory.path()).value());
  constexpr std::uint64_t kSeed = 7;
  Rng rng(kSeed);
  Writer writer = std::move(Writer::create(*files, "s", kHeader).value());
  writer.expect_size(1 << 20);
  std::vector<std::string> written;
  for (int i = 0; i < 600; ++i) {
    if (rng.chance(0.02)) {
      ASSERT_TRUE(writer.cut_zeros());
    }
    writer.expect_small_groups(!rng.chance(0.05));
    const std::uint64_t bytes = rng.chance(0.05) ? rng.below(9'000) : rng.below(900);
    written.emplace_back(bytes + 1, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(append(writer, {written.back()}));
    // Through a file of its own, as the next run would after this one was killed.
    const auto found = std::move(files->open("s", file::OpenMode::kRead).value());
    const auto scanned = scan(*found, kHeader.stream_identity);
    ASSERT_TRUE(scanned);
    ASSERT_EQ(scanned->valid_end, writer.end_offset()) << "seed " << kSeed << ", record " << i;
    ASSERT_FALSE(scanned->torn_tail);
  }
  EXPECT_EQ(read_back(*writer.file()), written);
}

TEST(Resuming, CutsOffWhatLiesBehindTheEndForGood) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    file::FaultyFileSystem disk(seed);
    Writer first = std::move(Writer::create(disk, "s", kHeader).value());
    ASSERT_TRUE(disk.sync_directory(""));
    ASSERT_TRUE(append(first, {"one"}));
    const std::uint64_t end = first.end_offset();
    ASSERT_TRUE(append(first, {"old"}));
    ASSERT_TRUE(first.sync());
    disk.kill_process();

    std::shared_ptr<file::File> file =
        std::move(disk.open("s", file::OpenMode::kReadWrite).value());
    Writer second = std::move(Writer::resume(file, kHeader, end, SequenceNumber(6)).value());
    ASSERT_TRUE(append(second, {"new"}));
    disk.crash(seed);

    file = std::move(disk.open("s", file::OpenMode::kRead).value());
    const std::vector<std::string> found = read_back(*file);
    EXPECT_TRUE(found == std::vector<std::string>{"one"} ||
                found == (std::vector<std::string>{"one", "new"}))
        << "seed " << seed;
  }
}

TEST(Resuming, RefusesAFileThatIsTooShort) {
  const auto files = file::make_memory();
  Writer writer = std::move(Writer::create(*files, "s", kHeader).value());
  const auto refused = Writer::resume(writer.file(), kHeader, kHeaderBytes + 1, SequenceNumber(6));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
}

TEST(PowerCuts, KeepEverySyncedRecordAndServeNothingElse) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    Rng rng(seed);
    file::FaultyFileSystem disk(seed);
    Writer writer = std::move(Writer::create(disk, "s", kHeader).value());
    ASSERT_TRUE(disk.sync_directory(""));
    std::vector<std::string> written;
    std::size_t synced = 0;
    for (std::uint64_t step = rng.below(20) + 1; step > 0; --step) {
      if (rng.chance(0.2)) {
        ASSERT_TRUE(writer.sync());
        synced = written.size();
      } else if (rng.chance(0.1)) {
        writer.write_zeros_ahead(rng.below(3'000));
      } else if (rng.chance(0.1)) {
        disk.fail_call(file::Call::kWrite, 1, ENOSPC);
        ASSERT_FALSE(append(writer, {"refused" + std::to_string(step)}));
      } else {
        const std::string payload(rng.below(700) + 1, static_cast<char>('a' + rng.below(26)));
        ASSERT_TRUE(append(writer, {payload}));
        written.push_back(payload);
      }
    }
    disk.crash(seed);
    const auto file = std::move(disk.open("s", file::OpenMode::kRead).value());
    const auto scanned = scan(*file, kHeader.stream_identity);
    ASSERT_TRUE(scanned) << "seed " << seed;
    const std::uint64_t first_hole =
        scanned->holes.empty()
            ? static_cast<std::uint64_t>(scanned->next - kHeader.base)
            : static_cast<std::uint64_t>(scanned->holes[0].first_lost - kHeader.base);
    EXPECT_GE(first_hole, synced) << "seed " << seed;
    EXPECT_LE(scanned->next - kHeader.base, static_cast<std::int64_t>(written.size()) + 1);
  }
}

}  // namespace
}  // namespace weir::segment
