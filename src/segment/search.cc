#include "segment/search.h"

#include "base/crc32c.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>
#include <limits>

namespace weir::segment {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78U;  // Castagnoli, bit-reversed: bit 31 is x^0
constexpr std::uint64_t kRecordBytesMin = kRecordOverheadBytes + 1;
/// Candidates up to this size are simply checked.
constexpr std::uint64_t kDirectBytes = std::uint64_t{8} * 1024;
/// How far a number may jump beyond what fits into the file.
constexpr std::uint64_t kJumpSlack = 65'536;

/// The product of two polynomials over GF(2), modulo the checksum's.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (std::uint32_t term = 1U << 31U; term != 0; term >>= 1U) {
    if ((a & term) != 0) product ^= b;
    b = (b >> 1U) ^ ((b & 1U) != 0 ? kPolynomial : 0U);
  }
  return product;
}

/// x^(8 * 2^k): the effect of 2^k zero bytes.
constexpr auto kZeroBytes = [] {
  std::array<std::uint32_t, 64> powers{};
  std::uint32_t power = 1U << 30U;  // x
  for (int i = 0; i < 3; ++i) power = multiply(power, power);
  for (std::uint32_t& entry : powers) {
    entry = power;
    power = multiply(power, power);
  }
  return powers;
}();

std::size_t to_size(std::uint64_t n) { return static_cast<std::size_t>(n); }

}  // namespace

Result<Bytes> Window::view(std::uint64_t offset, std::size_t count) {
  const std::uint64_t end = begin_ + buffer_.size();
  const std::uint64_t wanted_end = std::min<std::uint64_t>(offset + count, file_bytes_);
  if (offset < begin_ || wanted_end > end || offset > end) {
    const std::uint64_t left = offset < file_bytes_ ? file_bytes_ - offset : 0;
    const std::size_t fill = to_size(std::min<std::uint64_t>(left, kBytes));
    buffer_.clear();
    begin_ = offset;
    MutableBytes into(buffer_.extend(fill), fill);
    WEIR_TRY(const std::size_t read, file_.read_at(offset, into));
    if (read < fill) {
      buffer_.clear();
      return fail(Errc::kIo, "the segment became shorter while it was read");
    }
  }
  return buffer_.bytes().subspan(to_size(offset - begin_));
}

std::uint32_t shift_crc32c(std::uint32_t crc, std::uint64_t zeros) {
  for (std::size_t k = 0; zeros != 0; ++k, zeros >>= 1U) {
    if ((zeros & 1U) != 0) crc = multiply(kZeroBytes.at(k), crc);
  }
  return crc;
}

Result<void> PrefixChecksums::build() {
  std::uint32_t crc = 0;
  std::vector<std::uint32_t> sums;
  sums.reserve(to_size(window_.file_bytes() / kStrideBytes) + 1);
  sums.push_back(0);
  for (std::uint64_t at = 0; at + kStrideBytes <= window_.file_bytes(); at += kStrideBytes) {
    WEIR_TRY(const Bytes bytes, window_.view(at, kStrideBytes));
    crc = crc32c(bytes.first(kStrideBytes), crc);
    sums.push_back(crc);
  }
  at_stride_ = std::move(sums);
  return {};
}

Result<std::uint32_t> PrefixChecksums::prefix(std::uint64_t end) {
  std::array<std::byte, kStrideBytes> rest;
  const std::uint64_t stride = end / kStrideBytes;
  const MutableBytes into(rest.data(), to_size(end % kStrideBytes));
  // Not through the window: that stays where the search is.
  WEIR_TRY(const std::size_t read, window_.file().read_at(stride * kStrideBytes, into));
  if (read < into.size()) {
    return fail(Errc::kIo, "the segment became shorter while it was read");
  }
  return crc32c(into, at_stride_[to_size(stride)]);
}

Result<std::uint32_t> PrefixChecksums::of(std::uint64_t offset, std::uint64_t count,
                                          std::uint32_t seed) {
  if (at_stride_.empty()) WEIR_RETURN_IF_ERROR(build());
  WEIR_TRY(const std::uint32_t before, prefix(offset));
  WEIR_TRY(const std::uint32_t after, prefix(offset + count));
  return shift_crc32c(seed ^ before, count) ^ after;
}

Result<std::optional<RecordSearch::Head>> RecordSearch::head_at(std::uint64_t offset) {
  const std::uint64_t size = window_.file_bytes();
  if (offset > size || size - offset < kRecordBytesMin) return std::optional<Head>();
  WEIR_TRY(const Bytes bytes, window_.view(offset, kRecordOverheadBytes));
  const Head head{load_little<std::uint32_t>(&bytes[0]), load_little<std::uint32_t>(&bytes[4]),
                  load_little<std::int64_t>(&bytes[8]), load_little<std::int64_t>(&bytes[16])};
  if (head.length == 0 || head.length > kPayloadBytesMax ||
      head.length > size - offset - kRecordOverheadBytes) {
    return std::optional<Head>();
  }
  return std::optional<Head>(head);
}

Result<std::optional<Located>> RecordSearch::at(std::uint64_t offset, SequenceNumber expected) {
  WEIR_TRY(const std::optional<Head> head, head_at(offset));
  if (!head || head->sequence != expected.value()) return std::optional<Located>();
  const std::uint64_t end = offset + kRecordOverheadBytes + head->length;
  std::uint32_t crc = seed_;
  for (std::uint64_t position = offset + 4; position < end;) {
    const std::size_t step = to_size(std::min<std::uint64_t>(end - position, Window::kBytes));
    WEIR_TRY(const Bytes bytes, window_.view(position, step));
    crc = crc32c(bytes.first(step), crc);
    position += step;
  }
  if (crc != head->crc) return std::optional<Located>();
  return std::optional<Located>({offset, end - offset, expected, head->append_ms});
}

Result<bool> RecordSearch::checksum_matches(std::uint64_t offset, const Head& head) {
  const std::uint64_t covered = kRecordOverheadBytes - 4 + head.length;
  if (covered > kDirectBytes) {
    WEIR_TRY(const std::uint32_t crc, prefixes_.of(offset + 4, covered, seed_));
    return crc == head.crc;
  }
  WEIR_TRY(const Bytes bytes, window_.view(offset + 4, to_size(covered)));
  return crc32c(bytes.first(to_size(covered)), seed_) == head.crc;
}

Result<std::optional<Located>> RecordSearch::where_length_points(std::uint64_t offset,
                                                                 SequenceNumber expected) {
  WEIR_TRY(const std::optional<Head> damaged, head_at(offset));
  if (!damaged || damaged->sequence != expected.value()) return std::optional<Located>();
  return at(offset + kRecordOverheadBytes + damaged->length, expected + 1);
}

Result<std::optional<Located>> RecordSearch::behind(std::uint64_t offset, SequenceNumber expected) {
  WEIR_TRY(std::optional<Located> next, where_length_points(offset, expected));
  if (next) return next;
  const std::uint64_t size = window_.file_bytes();
  const std::uint64_t jump_max = size / kRecordBytesMin + kJumpSlack;
  const auto first = static_cast<std::uint64_t>(expected.value());
  for (std::uint64_t at = offset; at + kRecordBytesMin <= size;) {
    WEIR_TRY(const Bytes bytes, window_.view(at, kRecordOverheadBytes));
    // The cheap test, over everything in memory: a length that fits and a number that may follow.
    const std::size_t heads = bytes.size() - kRecordOverheadBytes + 1;
    std::size_t i = 0;
    for (; i < heads; ++i) {
      const std::uint64_t room = size - at - i - kRecordOverheadBytes;
      const auto length = load_little<std::uint32_t>(&bytes[i + 4]);
      const auto sequence = load_little<std::uint64_t>(&bytes[i + 8]);
      if (length - 1U < kPayloadBytesMax && length <= room && sequence - first <= jump_max) break;
    }
    at += i;
    if (i == heads) continue;
    WEIR_TRY(const std::optional<Head> head, head_at(at));
    if (head) {
      WEIR_TRY(const bool valid, checksum_matches(at, *head));
      if (valid) {
        return std::optional<Located>({at, kRecordOverheadBytes + head->length,
                                       SequenceNumber(head->sequence), head->append_ms});
      }
    }
    ++at;
  }
  return std::optional<Located>();
}

Result<bool> RecordSearch::only_zeros_from(std::uint64_t offset) {
  while (offset < window_.file_bytes()) {
    WEIR_TRY(const Bytes bytes, window_.view(offset, 1));
    if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
    offset += bytes.size();
  }
  return true;
}

}  // namespace weir::segment
