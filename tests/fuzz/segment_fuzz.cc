// A segment file with anything in it. What the scan says must be what the rule of
// docs/segment-format.md says when it is followed naively, and recovery must come to rest.
//
// Input: a first byte that says how many times the last eight bytes are used as an edit of the
// segment in front of them (so that checksums, which no fuzzer guesses, can be made right), then
// the segment, then the edits.

#include "base/crc32c.h"
#include "file/memory_file_system.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>
#include <cstdlib>

using namespace weir;

namespace {

constexpr std::uint64_t kIdentity = 0x0123456789abcdef;
constexpr std::size_t kEditBytes = 8;
constexpr std::size_t kBytesMax = std::size_t{16} * 1024;

void require(bool condition) {
  if (!condition) std::abort();
}

std::uint32_t seed_of(Bytes segment) {
  return segment.size() < segment::kHeaderBytes ? 0 : load_little<std::uint32_t>(&segment[60]);
}

/// Makes the checksum of the record that may begin at `at` right, if its length fits.
void seal_record(ByteVector& segment, std::size_t at) {
  if (segment.size() < at + segment::kRecordOverheadBytes) return;
  const auto length = load_little<std::uint32_t>(&segment[at + 4]);
  if (length > segment.size() - at - segment::kRecordOverheadBytes) return;
  const Bytes covered = Bytes(segment).subspan(at + 4, segment::kRecordOverheadBytes - 4 + length);
  store_little(&segment[at], crc32c(covered, seed_of(segment)));
}

void apply(ByteVector& segment, Bytes edit) {
  if (segment.empty()) return;
  const std::size_t at = load_little<std::uint16_t>(&edit[1]) % segment.size();
  const std::size_t count = load_little<std::uint16_t>(&edit[3]) % (segment.size() - at);
  const std::size_t from = load_little<std::uint16_t>(&edit[5]) % segment.size();
  const auto begin = segment.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  switch (std::to_integer<unsigned>(edit[0]) % 7) {
    case 0:
      seal_record(segment, at);
      break;
    case 1:
      std::fill(begin, end, edit[7]);
      break;
    case 2:
      segment.erase(begin, end);
      break;
    case 3: {
      const ByteVector copy(begin, end);
      segment.insert(segment.begin() + static_cast<std::ptrdiff_t>(from), copy.begin(), copy.end());
      break;
    }
    case 4:
      *begin ^= edit[7];
      break;
    case 5:
      segment.resize(segment.size() + count);
      break;
    default:
      if (segment.size() >= segment::kHeaderBytes) {
        store_little(&segment[16], kIdentity);
        store_little(&segment[60], crc32c(Bytes(segment).first(60)));
      }
  }
  if (segment.size() > kBytesMax) segment.resize(kBytesMax);
}

/// Any valid record at `at`, whatever its number.
segment::Decoded any_record(Bytes segment, std::size_t at) {
  if (segment.size() - at < segment::kRecordOverheadBytes) return {};
  const SequenceNumber claimed(load_little<std::int64_t>(&segment[at + 8]));
  segment::Decoded decoded = segment::decode_record(segment.subspan(at), seed_of(segment), claimed);
  return decoded;
}

/// The rule, followed to the letter and with no thought of speed.
struct Naive {
  std::size_t valid_end = segment::kHeaderBytes;
  std::int64_t next = 0;
  bool torn = false;
  std::vector<std::size_t> holes;
};

bool follows(const segment::Decoded& decoded, std::int64_t expected, std::size_t file_bytes) {
  if (decoded.kind != segment::Decoded::Kind::kRecord) return false;
  const std::int64_t number = decoded.record.sequence.value();
  return number >= expected &&
         static_cast<std::uint64_t>(number - expected) <= file_bytes / 25 + 65'536;
}

std::size_t next_record(Bytes segment, std::size_t bad, std::int64_t expected) {
  if (segment.size() - bad >= segment::kRecordOverheadBytes &&
      load_little<std::int64_t>(&segment[bad + 8]) == expected) {
    const std::size_t length = load_little<std::uint32_t>(&segment[bad + 4]);
    if (length > 0 && length <= segment.size() - bad - segment::kRecordOverheadBytes) {
      const std::size_t at = bad + segment::kRecordOverheadBytes + length;
      const segment::Decoded decoded = any_record(segment, at);
      if (decoded.kind == segment::Decoded::Kind::kRecord &&
          decoded.record.sequence.value() == expected + 1) {
        return at;
      }
    }
  }
  for (std::size_t at = bad; at < segment.size(); ++at) {
    if (follows(any_record(segment, at), expected, segment.size())) return at;
  }
  return 0;
}

Naive naive_scan(Bytes segment, std::int64_t base) {
  Naive found;
  found.next = base;
  for (;;) {
    std::size_t at = found.valid_end;
    segment::Decoded decoded = any_record(segment, at);
    if (decoded.kind != segment::Decoded::Kind::kRecord ||
        decoded.record.sequence.value() != found.next) {
      const Bytes rest = segment.subspan(at);
      if (std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; })) {
        return found;
      }
      at = next_record(segment, at, found.next);
      if (at == 0) {
        found.torn = true;
        return found;
      }
      found.holes.push_back(found.valid_end);
      decoded = any_record(segment, at);
    }
    found.valid_end = at + decoded.bytes;
    found.next = decoded.record.sequence.value() + 1;
  }
}

void check(const segment::Scan& scan, Bytes content) {
  const Naive naive = naive_scan(content, scan.header.base.value());
  require(scan.valid_end == naive.valid_end);
  require(scan.next.value() == naive.next);
  require(scan.torn_tail == naive.torn);
  require(scan.file_bytes == content.size());
  require(scan.holes.size() == naive.holes.size());
  std::uint64_t record_bytes = scan.valid_end - segment::kHeaderBytes;
  for (std::size_t i = 0; i < scan.holes.size(); ++i) {
    require(scan.holes[i].offset == naive.holes[i]);
    require(scan.holes[i].first_lost <= scan.holes[i].first_after);
    record_bytes -= scan.holes[i].bytes;
  }
  require(scan.record_bytes == record_bytes);
}

/// Cut the tail off, append, and scan again: the new message is there and nothing else changed.
void recover_and_append(file::FileSystem& files, const segment::Scan& before) {
  std::shared_ptr<file::File> file = std::move(files.open("s", file::OpenMode::kReadWrite).value());
  auto writer = segment::Writer::resume(file, before.header, before.valid_end, before.next);
  require(writer.has_value());
  const std::array<segment::Writer::Entry, 1> entries{{{1, as_bytes("after recovery")}}};
  require(writer->append(entries).has_value());
  const auto after = segment::scan(*file, kIdentity);
  require(after.has_value());
  require(after->next == before.next + 1);
  require(after->holes.size() == before.holes.size());
  require(!after->torn_tail && after->valid_end == after->file_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  Bytes input = std::as_bytes(std::span(data, size)).subspan(1);
  const std::size_t edits = std::min<std::size_t>(data[0] % 16, input.size() / kEditBytes);
  const Bytes script = input.last(edits * kEditBytes);
  input = input.first(std::min(input.size() - script.size(), kBytesMax));
  ByteVector content(input.begin(), input.end());
  for (std::size_t i = 0; i < edits; ++i) apply(content, script.subspan(i * kEditBytes));

  const auto files = file::make_memory();
  const auto file = std::move(files->open("s", file::OpenMode::kCreateNew).value());
  const std::array<Bytes, 1> pieces{content};
  require(file->write_at(0, pieces).has_value());
  const auto scanned = segment::scan(*file, kIdentity);
  if (!scanned) {
    require(scanned.error().code == Errc::kCorrupt || scanned.error().code == Errc::kUnsupported);
    return 0;
  }
  check(*scanned, content);
  recover_and_append(*files, *scanned);
  return 0;
}
