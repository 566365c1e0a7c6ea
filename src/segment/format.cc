#include "base/check.h"
#include "base/crc32c.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>
#include <string>

namespace weir::segment {
namespace {

// Offsets in the header and in a record; docs/segment-format.md has the tables.
constexpr std::array<std::byte, 8> kMagic{std::byte{'w'}, std::byte{'e'}, std::byte{'i'},
                                          std::byte{'r'}, std::byte{'s'}, std::byte{'e'},
                                          std::byte{'g'}, std::byte{'\n'}};
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kFlagsAt = 10;
constexpr std::size_t kSizeAt = 12;
constexpr std::size_t kIdentityAt = 16;
constexpr std::size_t kBaseAt = 24;
constexpr std::size_t kCreatedAt = 32;
constexpr std::size_t kZeroAt = 40;
constexpr std::size_t kHeaderCrcAt = 60;
static_assert(kHeaderCrcAt + 4 == kHeaderBytes);

constexpr std::size_t kLengthAt = 4;
constexpr std::size_t kSequenceAt = 8;
constexpr std::size_t kAppendMsAt = 16;
static_assert(kAppendMsAt + 8 == kRecordOverheadBytes);

/// No stream gets there; it keeps every sum of numbers far from overflowing.
constexpr std::int64_t kBaseMax = std::int64_t{1} << 62U;

}  // namespace

void encode_header(const Header& header, std::span<std::byte, kHeaderBytes> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  std::copy(kMagic.begin(), kMagic.end(), out.begin());
  store_little(&out[kVersionAt], kVersion);
  store_little(&out[kSizeAt], static_cast<std::uint32_t>(kHeaderBytes));
  store_little(&out[kIdentityAt], header.stream_identity);
  store_little(&out[kBaseAt], header.base.value());
  store_little(&out[kCreatedAt], header.created_ms);
  store_little(&out[kHeaderCrcAt], crc32c(out.first<kHeaderCrcAt>()));
}

Result<Header> decode_header(Bytes from) {
  if (from.size() < kHeaderBytes) {
    return fail(Errc::kCorrupt,
                "the segment header is cut off: " + std::to_string(from.size()) + " of 64 bytes");
  }
  if (!std::equal(kMagic.begin(), kMagic.end(), from.begin())) {
    return fail(Errc::kCorrupt, "this is not a segment: it does not begin with \"weirseg\"");
  }
  const auto version = load_little<std::uint16_t>(&from[kVersionAt]);
  const auto flags = load_little<std::uint16_t>(&from[kFlagsAt]);
  const bool sound =
      load_little<std::uint32_t>(&from[kHeaderCrcAt]) == crc32c(from.first(kHeaderCrcAt));
  // A newer layout may keep its checksum elsewhere, but a flipped bit must not make a damaged
  // segment look like a newer one: only a version that was written on purpose counts.
  if (sound && (version > kVersion || flags != 0)) {
    return fail(Errc::kUnsupported, "the segment was written by a newer weir (version " +
                                        std::to_string(version) + ", flags " +
                                        std::to_string(flags) + "); this one reads version 1");
  }
  const Bytes zeros = from.subspan(kZeroAt, kHeaderCrcAt - kZeroAt);
  const auto base = load_little<std::int64_t>(&from[kBaseAt]);
  if (!sound || version != kVersion || base < 0 || base > kBaseMax ||
      load_little<std::uint32_t>(&from[kSizeAt]) != kHeaderBytes ||
      std::any_of(zeros.begin(), zeros.end(), [](std::byte b) { return b != std::byte{0}; })) {
    return fail(Errc::kCorrupt, "the segment header is damaged");
  }
  return Header{load_little<std::uint64_t>(&from[kIdentityAt]), SequenceNumber(base),
                load_little<std::int64_t>(&from[kCreatedAt])};
}

std::uint32_t record_seed(const Header& header) {
  std::array<std::byte, kHeaderBytes> bytes;
  encode_header(header, bytes);
  return load_little<std::uint32_t>(&bytes[kHeaderCrcAt]);
}

void encode_record_head(std::uint32_t seed, SequenceNumber sequence, std::int64_t append_ms,
                        Bytes payload, std::span<std::byte, kRecordOverheadBytes> out) {
  WEIR_CHECK(!payload.empty() && payload.size() <= kPayloadBytesMax,
             "a record's payload is 1 byte to 1 GiB");
  store_little(&out[kLengthAt], static_cast<std::uint32_t>(payload.size()));
  store_little(&out[kSequenceAt], sequence.value());
  store_little(&out[kAppendMsAt], append_ms);
  const std::uint32_t head = crc32c(out.subspan<kLengthAt>(), seed);
  store_little(out.data(), crc32c(payload, head));
}

Decoded decode_record(Bytes at, std::uint32_t seed, SequenceNumber expected) {
  if (at.size() < kRecordOverheadBytes) {
    return {Decoded::Kind::kNeedMore, {}, kRecordOverheadBytes};
  }
  const auto length = load_little<std::uint32_t>(&at[kLengthAt]);
  const auto sequence = load_little<std::int64_t>(&at[kSequenceAt]);
  if (length == 0 || length > kPayloadBytesMax || sequence != expected.value()) return {};
  const std::size_t bytes = kRecordOverheadBytes + length;
  if (at.size() < bytes) return {Decoded::Kind::kNeedMore, {}, bytes};
  const Bytes covered = at.first(bytes).subspan(kLengthAt);
  if (load_little<std::uint32_t>(at.data()) != crc32c(covered, seed)) return {};
  return {Decoded::Kind::kRecord,
          {expected, load_little<std::int64_t>(&at[kAppendMsAt]),
           at.subspan(kRecordOverheadBytes, length)},
          bytes};
}

}  // namespace weir::segment
