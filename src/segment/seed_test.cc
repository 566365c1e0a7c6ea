#include "file/memory_file_system.h"
#include "segment/segment.h"

#include <array>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace weir::segment {
namespace {

const Header kHeader{0x1122334455667788, SequenceNumber(42), 1'700'000'000'000};

/// A segment with these payloads, beginning with message 42.
std::shared_ptr<file::File> segment_with(file::FileSystem& disk,
                                         const std::vector<std::string>& payloads) {
  auto writer = Writer::create(disk, "a.seg", kHeader);
  for (const std::string& payload : payloads) {
    const std::array<Writer::Entry, 1> entries{{{1'700'000'000'123, as_bytes(payload)}}};
    EXPECT_TRUE(writer->append(entries));
  }
  return writer->file();
}

TEST(Seed, IsFoundFromTheRecordsWhateverTheirSizes) {
  for (const std::size_t bytes : {1U, 3U, 63U, 64U, 1'000U, 300'000U}) {
    const auto owned = file::make_memory();
    file::FileSystem& disk = *owned;
    const auto file = segment_with(disk, {std::string(bytes, 'x'), "second"});
    const auto seed = find_seed(*file, kHeader.base);
    ASSERT_TRUE(seed) << bytes;
    EXPECT_EQ(*seed, record_seed(kHeader)) << bytes;
  }
}

TEST(Seed, LetsEveryRecordBeReadUnderADestroyedHeader) {
  const auto owned = file::make_memory();
  file::FileSystem& disk = *owned;
  const auto file = segment_with(disk, {"one", "two", "three"});
  const std::string nonsense(kHeaderBytes, '?');
  const std::array<Bytes, 1> pieces{as_bytes(nonsense)};
  ASSERT_TRUE(file->write_at(0, pieces));
  ASSERT_FALSE(scan(*file, kHeader.stream_identity));
  const auto seed = find_seed(*file, kHeader.base);
  ASSERT_TRUE(seed);
  std::vector<std::int64_t> numbers;
  const auto scanned = scan_as(*file, kHeader, *seed, [&](const RecordPlace& place) {
    numbers.push_back(place.sequence.value());
    return Result<void>();
  });
  ASSERT_TRUE(scanned);
  EXPECT_EQ(numbers, (std::vector<std::int64_t>{42, 43, 44}));
}

TEST(Seed, OneRecordAloneProvesNothing) {
  const auto owned = file::make_memory();
  file::FileSystem& disk = *owned;
  const auto file = segment_with(disk, {"alone"});
  EXPECT_FALSE(find_seed(*file, kHeader.base));
}

TEST(Seed, IsNotFoundWhereTheFirstRecordIsDamagedOrNotTheExpectedOne) {
  const auto owned = file::make_memory();
  file::FileSystem& disk = *owned;
  const auto file = segment_with(disk, {"one", "two"});
  EXPECT_FALSE(find_seed(*file, SequenceNumber(41)));
  const std::string x = "x";
  const std::array<Bytes, 1> pieces{as_bytes(x)};
  ASSERT_TRUE(file->write_at(kHeaderBytes + kRecordOverheadBytes, pieces));
  EXPECT_FALSE(find_seed(*file, kHeader.base));
}

TEST(Seed, AVisitorThatFailsEndsTheScan) {
  const auto owned = file::make_memory();
  file::FileSystem& disk = *owned;
  const auto file = segment_with(disk, {"one", "two"});
  int seen = 0;
  const auto scanned = scan(*file, kHeader.stream_identity, [&](const RecordPlace&) {
    ++seen;
    return Result<void>(fail(Errc::kFull, "enough"));
  });
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().what, "enough");
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace weir::segment
