#include "segment/segment.h"

#include "base/crc32c.h"
#include "base/rng.h"
#include "file/faulty_file_system.h"
#include "file/memory_file_system.h"
#include "segment/search.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <sstream>
#include <string>

namespace weir::segment {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kIdentity = 0x0123456789abcdef;
const Header kHeader{kIdentity, SequenceNumber(1000), 1'700'000'000'000};

std::unique_ptr<file::File> file_with(file::FileSystem& files, Bytes content) {
  static_cast<void>(files.remove_file("segment"));
  auto file = files.open("segment", file::OpenMode::kCreateNew);
  const std::array<Bytes, 1> pieces{content};
  EXPECT_TRUE((*file)->write_at(0, pieces));
  return std::move(*file);
}

Result<Scan> scan_bytes(Bytes content, std::uint64_t identity = kIdentity) {
  const auto files = file::make_memory();
  return scan(*file_with(*files, content), identity);
}

ByteVector content_of(file::File& file) {
  ByteVector bytes(file.size().value());
  EXPECT_EQ(file.read_at(0, bytes).value(), bytes.size());
  return bytes;
}

/// A segment as the writer makes it, with where its records begin.
struct Sample {
  ByteVector bytes;
  std::vector<std::uint64_t> starts;  // and the end
  std::vector<std::string> payloads;
};

Sample sample(const std::vector<std::string>& payloads, const Header& header = kHeader) {
  const auto files = file::make_memory();
  Writer writer = std::move(Writer::create(*files, "segment", header).value());
  Sample made;
  made.payloads = payloads;
  std::int64_t now = header.created_ms;
  for (const std::string& payload : payloads) {
    made.starts.push_back(writer.end_offset());
    const std::array<Writer::Entry, 1> entries{{{now++, as_bytes(payload)}}};
    EXPECT_TRUE(writer.append(entries));
  }
  made.starts.push_back(writer.end_offset());
  made.bytes = content_of(*writer.file());
  return made;
}

/// Ten records of different sizes, 512 bytes and a few, as design and promise ask for.
Sample small_sample() {
  std::vector<std::string> payloads;
  for (std::size_t i = 0; i < 10; ++i) {
    payloads.push_back("message " + std::to_string(i) + std::string(i * 3, char('a' + i)));
  }
  return sample(payloads);
}

/// Every record a scan admits, by number; checks on the way that nothing was made up: the bytes
/// at a valid place must be one of the messages that were appended, under its own number.
std::map<std::int64_t, std::string> survivors(Bytes content, const Scan& scan) {
  std::map<std::int64_t, std::string> found;
  const std::uint32_t seed = record_seed(scan.header);
  std::uint64_t offset = kHeaderBytes;
  SequenceNumber next = scan.header.base;
  auto hole = scan.holes.begin();
  while (offset < scan.valid_end) {
    if (hole != scan.holes.end() && offset == hole->offset) {
      EXPECT_EQ(next, hole->first_lost);
      offset += hole->bytes;
      next = hole->first_after;
      ++hole;
    }
    const Decoded decoded = decode_record(content.subspan(offset), seed, next);
    EXPECT_EQ(decoded.kind, Decoded::Kind::kRecord) << "at " << offset;
    if (decoded.kind != Decoded::Kind::kRecord) break;
    found[next.value()] = as_text(decoded.record.payload);
    offset += decoded.bytes;
    ++next;
  }
  EXPECT_EQ(hole, scan.holes.end());
  EXPECT_EQ(offset, scan.valid_end);
  EXPECT_EQ(next, scan.next);
  return found;
}

/// All records but those from `first_lost` to `last_lost`.
std::map<std::int64_t, std::string> all_but(const Sample& made, std::size_t first_lost,
                                            std::size_t last_lost) {
  std::map<std::int64_t, std::string> expected;
  for (std::size_t i = 0; i < made.payloads.size(); ++i) {
    if (i >= first_lost && i <= last_lost) continue;
    expected[1000 + static_cast<std::int64_t>(i)] = made.payloads[i];
  }
  return expected;
}
std::map<std::int64_t, std::string> first_of(const Sample& made, std::size_t count) {
  return all_but(made, count, made.payloads.size());
}

/// Which record a byte belongs to.
std::size_t record_of(const Sample& made, std::uint64_t offset) {
  std::size_t i = 0;
  while (made.starts[i + 1] <= offset) ++i;
  return i;
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << "cannot open " << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::string kSourceRoot = WEIR_SOURCE_ROOT;

TEST(Format, IsWhatTheDocumentShows) {
  // The hex dump between the heading "Example" and the next heading.
  std::istringstream lines(read_text(kSourceRoot + "/docs/segment-format.md"));
  ByteVector documented;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == "## Example";
    if (!inside || line.size() < 6 || line.substr(4, 2) != "  ") continue;
    for (std::size_t at = 6; at + 2 <= line.size() && at < 6 + 16 * 3; at += 3) {
      const std::string digits = line.substr(at, 2);
      if (digits.find_first_not_of("0123456789abcdef") != std::string::npos) break;
      documented.push_back(std::byte(std::stoi(digits, nullptr, 16)));
    }
  }
  const Sample made = sample({"hello", std::string("\x00\xff", 2)});
  EXPECT_EQ(made.bytes, documented);
  EXPECT_EQ(as_text(made.bytes), read_text(kSourceRoot + "/tests/golden/segment-v1.seg"));
}

TEST(Format, VersionOneStillOpens) {
  const std::string golden = read_text(kSourceRoot + "/tests/golden/segment-v1.seg");
  const auto scanned = scan_bytes(as_bytes(golden));
  ASSERT_TRUE(scanned) << scanned.error().what;
  EXPECT_EQ(scanned->header.stream_identity, kIdentity);
  EXPECT_EQ(scanned->header.created_ms, 1'700'000'000'000);
  EXPECT_EQ(scanned->newest_append_ms, 1'700'000'000'001);
  EXPECT_EQ(
      survivors(as_bytes(golden), *scanned),
      (std::map<std::int64_t, std::string>{{1000, "hello"}, {1001, std::string("\x00\xff", 2)}}));
}

TEST(Format, TellsANewerVersionFromDamage) {
  std::array<std::byte, kHeaderBytes> bytes;
  const auto with = [&](std::size_t at, std::byte value) {
    encode_header(kHeader, bytes);
    bytes[at] = value;
    store_little(&bytes[60], crc32c(Bytes(bytes).first(60)));
    return decode_header(bytes).error().code;
  };
  EXPECT_EQ(with(8, std::byte{2}), Errc::kUnsupported);
  EXPECT_EQ(with(10, std::byte{1}), Errc::kUnsupported);
  EXPECT_EQ(with(8, std::byte{0}), Errc::kCorrupt);
  EXPECT_EQ(with(12, std::byte{65}), Errc::kCorrupt);
  EXPECT_EQ(with(31, std::byte{0x80}), Errc::kCorrupt) << "a negative first number";
  EXPECT_EQ(with(31, std::byte{0x7f}), Errc::kCorrupt) << "a number no stream reaches";
  EXPECT_EQ(with(45, std::byte{1}), Errc::kCorrupt);
}

TEST(Format, EveryBitOfTheHeaderMatters) {
  std::array<std::byte, kHeaderBytes> bytes;
  for (std::size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
    encode_header(kHeader, bytes);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto decoded = decode_header(bytes);
    ASSERT_FALSE(decoded) << bit;
    EXPECT_EQ(decoded.error().code, Errc::kCorrupt) << bit;
  }
  for (std::size_t size = 0; size < kHeaderBytes; ++size) {
    encode_header(kHeader, bytes);
    EXPECT_EQ(decode_header(Bytes(bytes).first(size)).error().code, Errc::kCorrupt);
  }
}

TEST(Decoding, AsksForMoreOnlyWhileItMakesSense) {
  const Sample made = sample({"hello"});
  const std::uint32_t seed = record_seed(kHeader);
  const Bytes record = Bytes(made.bytes).subspan(kHeaderBytes);
  for (std::size_t size = 0; size < record.size(); ++size) {
    const Decoded decoded = decode_record(record.first(size), seed, SequenceNumber(1000));
    EXPECT_EQ(decoded.kind, Decoded::Kind::kNeedMore);
    EXPECT_EQ(decoded.bytes, size < kRecordOverheadBytes ? kRecordOverheadBytes : record.size());
  }
  const Decoded whole = decode_record(record, seed, SequenceNumber(1000));
  EXPECT_EQ(whole.kind, Decoded::Kind::kRecord);
  EXPECT_EQ(as_text(whole.record.payload), "hello");
  EXPECT_EQ(whole.record.append_ms, 1'700'000'000'000);
  for (const std::int64_t wrong : {999, 1001, 0, -1}) {
    EXPECT_EQ(decode_record(record, seed, SequenceNumber(wrong)).kind, Decoded::Kind::kDamaged);
  }
  EXPECT_EQ(decode_record(record, seed + 1, SequenceNumber(1000)).kind, Decoded::Kind::kDamaged);
  const ByteVector zeros(1'000);
  EXPECT_EQ(decode_record(zeros, seed, SequenceNumber(0)).kind, Decoded::Kind::kDamaged);
}

TEST(Scanning, FindsEverythingInASoundSegment) {
  const Sample made = small_sample();
  const auto scanned = scan_bytes(made.bytes);
  ASSERT_TRUE(scanned);
  EXPECT_EQ(survivors(made.bytes, *scanned), first_of(made, 10));
  EXPECT_EQ(scanned->valid_end, made.bytes.size());
  EXPECT_EQ(scanned->file_bytes, made.bytes.size());
  EXPECT_EQ(scanned->record_bytes, made.bytes.size() - kHeaderBytes);
  EXPECT_EQ(scanned->newest_append_ms, kHeader.created_ms + 9);
  EXPECT_FALSE(scanned->torn_tail);
  EXPECT_THAT(scanned->holes, IsEmpty());
}

TEST(Scanning, AnEmptySegmentIsNormal) {
  const Sample made = sample({});
  const auto scanned = scan_bytes(made.bytes);
  ASSERT_TRUE(scanned);
  EXPECT_EQ(scanned->valid_end, kHeaderBytes);
  EXPECT_EQ(scanned->next, SequenceNumber(1000));
  EXPECT_FALSE(scanned->torn_tail);
}

TEST(Scanning, RefusesASegmentOfAnotherStream) {
  const Sample made = small_sample();
  EXPECT_EQ(scan_bytes(made.bytes, kIdentity + 1).error().code, Errc::kCorrupt);
}

TEST(Scanning, EveryTruncationKeepsEveryWholeRecord) {
  const Sample made = small_sample();
  for (std::size_t size = 0; size < made.bytes.size(); ++size) {
    const Bytes cut = Bytes(made.bytes).first(size);
    const auto scanned = scan_bytes(cut);
    if (size < kHeaderBytes) {
      EXPECT_EQ(scanned.error().code, Errc::kCorrupt) << size;
      continue;
    }
    ASSERT_TRUE(scanned) << size;
    const std::size_t whole = record_of(made, size);
    EXPECT_EQ(survivors(cut, *scanned), first_of(made, whole)) << size;
    EXPECT_THAT(scanned->holes, IsEmpty()) << size;
    const auto tail = cut.subspan(scanned->valid_end);
    const bool zeros =
        std::all_of(tail.begin(), tail.end(), [](auto b) { return b == std::byte{}; });
    EXPECT_EQ(scanned->torn_tail, !zeros) << size;
  }
}

TEST(Scanning, EveryTruncationFollowedByZerosKeepsEveryWholeRecord) {
  const Sample made = small_sample();
  for (std::size_t size = kHeaderBytes; size < made.bytes.size(); ++size) {
    for (const std::size_t zeros : {1U, 7U, 24U, 25U, 600U, 4096U}) {
      ByteVector torn(made.bytes.begin(), made.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      torn.resize(size + zeros);
      const auto scanned = scan_bytes(torn);
      ASSERT_TRUE(scanned) << size;
      // The last bytes of a record may have been zeros themselves: then it is whole.
      std::size_t whole = 0;
      while (whole < 10 && made.starts[whole + 1] <= torn.size() &&
             std::equal(made.bytes.begin(),
                        made.bytes.begin() + static_cast<std::ptrdiff_t>(made.starts[whole + 1]),
                        torn.begin())) {
        ++whole;
      }
      EXPECT_EQ(survivors(torn, *scanned), first_of(made, whole)) << size;
      EXPECT_THAT(scanned->holes, IsEmpty()) << size;
    }
  }
}

TEST(Scanning, EveryFlippedBitCostsOneRecord) {
  const Sample made = small_sample();
  for (std::size_t bit = kHeaderBytes * 8; bit < made.bytes.size() * 8; ++bit) {
    ByteVector damaged = made.bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned) << bit;
    const std::size_t lost = record_of(made, bit / 8);
    EXPECT_EQ(survivors(damaged, *scanned), all_but(made, lost, lost)) << bit;
    if (lost == 9) {
      EXPECT_TRUE(scanned->torn_tail) << "a damaged last record looks like a torn one";
      EXPECT_THAT(scanned->holes, IsEmpty());
      continue;
    }
    ASSERT_EQ(scanned->holes.size(), 1U) << bit;
    const Hole hole = scanned->holes[0];
    EXPECT_EQ(hole.offset, made.starts[lost]);
    EXPECT_EQ(hole.bytes, made.starts[lost + 1] - made.starts[lost]);
    EXPECT_EQ(hole.first_lost.value(), 1000 + static_cast<std::int64_t>(lost));
    EXPECT_EQ(hole.first_after, hole.first_lost + 1);
    EXPECT_FALSE(scanned->torn_tail);
  }
}

TEST(Scanning, EveryInsertedByteCostsAtMostOneRecord) {
  const Sample made = small_sample();
  for (std::size_t at = kHeaderBytes; at <= made.bytes.size(); ++at) {
    for (const std::byte extra : {std::byte{0}, std::byte{0x5a}, std::byte{0xff}}) {
      ByteVector damaged = made.bytes;
      damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at), extra);
      const auto scanned = scan_bytes(damaged);
      ASSERT_TRUE(scanned) << at;
      const auto found = survivors(damaged, *scanned);
      std::map<std::int64_t, std::string> expected = first_of(made, 10);
      if (at < made.bytes.size()) {
        const std::size_t lost = record_of(made, at);
        // Between two records nothing is lost; a byte equal to its neighbour is between them too.
        const auto number = 1000 + static_cast<std::int64_t>(lost);
        if (!found.contains(number)) expected.erase(number);
        EXPECT_TRUE(at != made.starts[lost] || found.contains(number)) << at;
      }
      EXPECT_EQ(found, expected) << at;
    }
  }
}

TEST(Scanning, EveryRemovedByteCostsOneRecord) {
  const Sample made = small_sample();
  for (std::size_t at = kHeaderBytes; at < made.bytes.size(); ++at) {
    ByteVector damaged = made.bytes;
    damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(at));
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned) << at;
    const std::size_t lost = record_of(made, at);
    EXPECT_EQ(survivors(damaged, *scanned), all_but(made, lost, lost)) << at;
  }
}

TEST(Scanning, EveryRemovedStretchOfRecordsIsCounted) {
  const Sample made = small_sample();
  for (std::size_t first = 0; first < 9; ++first) {
    for (std::size_t last = first; last < 9; ++last) {
      ByteVector damaged = made.bytes;
      damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(made.starts[first]),
                    damaged.begin() + static_cast<std::ptrdiff_t>(made.starts[last + 1]));
      const auto scanned = scan_bytes(damaged);
      ASSERT_TRUE(scanned);
      EXPECT_EQ(survivors(damaged, *scanned), all_but(made, first, last));
      ASSERT_EQ(scanned->holes.size(), 1U);
      EXPECT_EQ(scanned->holes[0].bytes, 0U) << "no damaged bytes, only missing ones";
    }
  }
}

TEST(Scanning, EveryZeroedSectorIsAHole) {
  std::vector<std::string> payloads(60);
  for (std::size_t i = 0; i < payloads.size(); ++i) payloads[i] = std::string(100 + i, 'x');
  const Sample made = sample(payloads);
  for (std::size_t sector = 512; sector + 1024 < made.bytes.size(); sector += 512) {
    ByteVector damaged = made.bytes;
    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(sector), 512, std::byte{0});
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned);
    EXPECT_EQ(survivors(damaged, *scanned),
              all_but(made, record_of(made, sector), record_of(made, sector + 511)));
    EXPECT_EQ(scanned->holes.size(), 1U);
  }
}

TEST(Scanning, WhatIsAppendedIsATornTail) {
  const Sample made = small_sample();
  Header next_segment = kHeader;
  next_segment.base = SequenceNumber(1010);
  const Sample other = sample({"one", "two", "three"}, next_segment);
  Header other_stream = kHeader;
  other_stream.stream_identity = kIdentity + 1;
  std::vector<std::string> twelve(12, "same numbers");
  const Sample foreign = sample(twelve, other_stream);

  const auto range = [](const Sample& from, std::size_t begin, std::size_t end) {
    return std::string(as_text(Bytes(from.bytes).subspan(begin, end - begin)));
  };
  std::vector<std::string> tails{
      std::string(1, '\x01'),
      std::string(23, 'z'),
      std::string(5'000, '\xff'),
      "an older record: " + range(made, made.starts[3], made.starts[4]),
      range(made, made.starts[3], made.starts[4]),
      range(made, kHeaderBytes, made.bytes.size()),
      range(made, 0, made.bytes.size()),
      range(other, kHeaderBytes, other.bytes.size()),
      range(other, 0, other.bytes.size()),
      range(foreign, foreign.starts[10], foreign.bytes.size()),
      std::string(1'000, '\0') + "x",
  };
  Rng rng(11);
  for (int i = 0; i < 200; ++i) {
    std::string garbage(rng.below(300) + 1, '\0');
    for (char& c : garbage) c = static_cast<char>(rng.next());
    garbage.back() = 'x';
    tails.push_back(garbage);
  }
  for (const std::string& tail : tails) {
    ByteVector content = made.bytes;
    content.insert(content.end(), as_bytes(tail).begin(), as_bytes(tail).end());
    const auto scanned = scan_bytes(content);
    ASSERT_TRUE(scanned);
    EXPECT_EQ(survivors(content, *scanned), first_of(made, 10));
    EXPECT_TRUE(scanned->torn_tail);
    EXPECT_THAT(scanned->holes, IsEmpty());
  }
}

TEST(Scanning, ALogStoredAsAMessageIsNotMistakenForTheLog) {
  const Sample inner = small_sample();
  std::vector<std::string> payloads = inner.payloads;
  payloads.emplace_back(as_text(inner.bytes));  // number 1010 holds numbers 1000 to 1009
  payloads.emplace_back("after");
  const Sample made = sample(payloads);
  for (std::size_t at = made.starts[10]; at < made.bytes.size(); ++at) {
    ByteVector damaged = made.bytes;
    damaged[at] ^= std::byte{0x10};
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned);
    const std::size_t lost = record_of(made, at);
    EXPECT_EQ(survivors(damaged, *scanned), all_but(made, lost, lost)) << at;

    const Bytes torn = Bytes(made.bytes).first(at);
    const auto scanned_torn = scan_bytes(torn);
    ASSERT_TRUE(scanned_torn);
    EXPECT_EQ(survivors(torn, *scanned_torn), first_of(made, record_of(made, at))) << at;
    EXPECT_THAT(scanned_torn->holes, IsEmpty());
  }
}

TEST(Scanning, SurvivesRandomDamageInSeveralPlaces) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    Rng rng(seed);
    std::vector<std::string> payloads(rng.below(40) + 5);
    for (std::string& payload : payloads) payload = std::string(rng.below(200) + 1, 'p');
    const Sample made = sample(payloads);
    ByteVector damaged = made.bytes;
    std::map<std::int64_t, std::string> expected = first_of(made, payloads.size());
    for (std::uint64_t i = rng.below(6); i > 0; --i) {
      const std::size_t at = kHeaderBytes + rng.below(damaged.size() - kHeaderBytes);
      damaged[at] ^= std::byte{0x40};
      if (damaged[at] != made.bytes[at]) {
        expected.erase(1000 + static_cast<std::int64_t>(record_of(made, at)));
      }
    }
    // A place hit twice by the same mask is sound again.
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      const auto begin = static_cast<std::ptrdiff_t>(made.starts[i]);
      const auto end = static_cast<std::ptrdiff_t>(made.starts[i + 1]);
      if (std::equal(made.bytes.begin() + begin, made.bytes.begin() + end,
                     damaged.begin() + begin)) {
        expected[1000 + static_cast<std::int64_t>(i)] = payloads[i];
      }
    }
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned) << "seed " << seed;
    EXPECT_EQ(survivors(damaged, *scanned), expected) << "seed " << seed;
  }
}

TEST(Scanning, HandlesRecordsLargerThanItsBuffer) {
  const std::size_t large = 3 * Window::kBytes + 17;
  const Sample made = sample({"a", std::string(large, 'b'), "c", std::string(large, 'd'), "e"});
  const auto sound = scan_bytes(made.bytes);
  ASSERT_TRUE(sound);
  EXPECT_EQ(survivors(made.bytes, *sound), first_of(made, 5));
  ASSERT_GE(sound->index.size(), 3U);
  for (const IndexEntry& entry : sound->index) {
    EXPECT_EQ(entry.offset, made.starts[static_cast<std::size_t>(entry.sequence.value() - 1000)]);
  }
  for (const std::uint64_t at :
       {made.starts[0] + 2, made.starts[1] + 1, made.starts[1] + 5, made.starts[1] + 9,
        made.starts[1] + 500'000, made.starts[2] + 3, made.starts[2] + 24}) {
    ByteVector damaged = made.bytes;
    damaged[at] ^= std::byte{1};
    const auto scanned = scan_bytes(damaged);
    ASSERT_TRUE(scanned);
    const std::size_t lost = record_of(made, at);
    EXPECT_EQ(survivors(damaged, *scanned), all_but(made, lost, lost)) << at;
  }
}

TEST(Scanning, IndexesAtMostOnePlacePerStride) {
  std::vector<std::string> payloads(5'000, std::string(176, 'x'));
  const Sample made = sample(payloads);
  const auto scanned = scan_bytes(made.bytes);
  ASSERT_TRUE(scanned);
  EXPECT_NEAR(static_cast<double>(scanned->index.size()), 1'000'000.0 / 65'536, 1);
  EXPECT_EQ(scanned->index.front().offset, kHeaderBytes);
  for (std::size_t i = 0; i < scanned->index.size(); ++i) {
    const IndexEntry entry = scanned->index[i];
    EXPECT_EQ(entry.offset,
              kHeaderBytes + 200U * static_cast<std::uint64_t>(entry.sequence - kHeader.base));
    EXPECT_TRUE(i == 0 || entry.offset - scanned->index[i - 1].offset >= kIndexStrideBytes);
  }
}

TEST(Scanning, APayloadFullOfFakeHeadsCostsLinearTime) {
  // Every 16 bytes something that looks like a long record with a number that may follow.
  std::string hostile;
  while (hostile.size() < 8'000'000) {
    std::array<std::byte, 16> head{};
    store_little(&head[4], static_cast<std::uint32_t>(7'900'000 - hostile.size()));
    store_little(&head[8], std::int64_t{1002});
    if (hostile.size() > 7'800'000) head.fill(std::byte{7});
    hostile += as_text(head);
  }
  const Sample made = sample({"first", hostile, "last"});
  ByteVector damaged = made.bytes;
  damaged[made.starts[1] + 5] ^= std::byte{0x11};  // its length, so that all has to be searched

  const auto disk = std::make_unique<file::FaultyFileSystem>();
  disk->set_content("segment", damaged);
  const auto file = std::move(disk->open("segment", file::OpenMode::kRead).value());
  const auto scanned = scan(*file, kIdentity);
  ASSERT_TRUE(scanned);
  EXPECT_EQ(survivors(damaged, *scanned), all_but(made, 1, 1));
  // Half a million candidates, each of which costs two small reads and not 7 MB.
  EXPECT_LT(disk->calls(file::Call::kRead), 1'200'000U);
}

TEST(Scanning, ReportsWhatTheDiskRefuses) {
  file::FaultyFileSystem disk;
  const Sample made = small_sample();
  disk.set_content("segment", made.bytes);
  for (std::uint64_t nth = 1; nth <= 2; ++nth) {
    const auto file = std::move(disk.open("segment", file::OpenMode::kRead).value());
    disk.fail_call(file::Call::kRead, nth, EIO);
    const auto scanned = scan(*file, kIdentity);
    ASSERT_FALSE(scanned);
    EXPECT_EQ(scanned.error().code, Errc::kIo);
    EXPECT_EQ(scanned.error().os_errno, EIO);
  }
}

TEST(Scanning, NeverServesABitThatFlippedOnTheWay) {
  const Sample made = small_sample();
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    file::FaultyFileSystem disk(seed);
    disk.set_content("segment", made.bytes);
    disk.flip_bits_on_read(0.3);
    const auto file = std::move(disk.open("segment", file::OpenMode::kRead).value());
    const auto scanned = scan(*file, kIdentity);
    if (!scanned) continue;
    EXPECT_LE(scanned->next, SequenceNumber(1010)) << "seed " << seed;
    EXPECT_LE(scanned->valid_end, made.bytes.size());
  }
}

TEST(Checksums, OfAStretchFollowFromThoseOfBeginnings) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    ByteVector content(rng.below(50'000) + 1);
    for (std::byte& b : content) b = static_cast<std::byte>(rng.next());
    const auto files = file::make_memory();
    const auto file = file_with(*files, content);
    Window window(*file, content.size());
    PrefixChecksums prefixes(window);
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t offset = rng.below(content.size());
      const std::uint64_t count = rng.below(content.size() - offset + 1);
      const auto start = static_cast<std::uint32_t>(rng.next());
      EXPECT_EQ(prefixes.of(offset, count, start).value(),
                crc32c(Bytes(content).subspan(offset, count), start))
          << "seed " << seed << " offset " << offset << " count " << count;
    }
  }
  EXPECT_EQ(shift_crc32c(0xdeadbeef, 0), 0xdeadbeefU);
}

}  // namespace
}  // namespace weir::segment
