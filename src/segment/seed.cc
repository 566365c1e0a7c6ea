#include "base/crc32c.h"
#include "segment/search.h"
#include "segment/segment.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::segment {
namespace {

constexpr std::size_t kBits = 32;

/// The value that becomes `wanted` when `zeros` zero bytes follow: the effect of zeros is linear
/// over bits, so this is a system of 32 equations. It always has a solution: zeros can be undone.
std::uint32_t unshift_crc32c(std::uint32_t wanted, std::uint64_t zeros) {
  std::array<std::uint32_t, kBits> image{};
  std::array<std::uint32_t, kBits> source{};
  for (std::size_t i = 0; i < kBits; ++i) {
    source.at(i) = 1U << i;
    image.at(i) = shift_crc32c(source.at(i), zeros);
  }
  std::uint32_t found = 0;
  for (std::size_t bit = 0; bit < kBits; ++bit) {
    const std::uint32_t mask = 1U << bit;
    std::size_t pivot = bit;
    while (pivot < kBits && (image.at(pivot) & mask) == 0) ++pivot;
    if (pivot == kBits) continue;
    std::swap(image.at(bit), image.at(pivot));
    std::swap(source.at(bit), source.at(pivot));
    for (std::size_t row = bit + 1; row < kBits; ++row) {
      if ((image.at(row) & mask) == 0) continue;
      image.at(row) ^= image.at(bit);
      source.at(row) ^= source.at(bit);
    }
    if ((wanted & mask) == 0) continue;
    wanted ^= image.at(bit);
    found ^= source.at(bit);
  }
  return found;
}

/// The checksum of `count` bytes at `offset`, begun with 0.
Result<std::uint32_t> checksum(Window& window, std::uint64_t offset, std::uint64_t count) {
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < count;) {
    const auto step =
        static_cast<std::size_t>(std::min<std::uint64_t>(count - done, Window::kBytes));
    WEIR_TRY(const Bytes bytes, window.view(offset + done, step));
    crc = crc32c(bytes.first(step), crc);
    done += step;
  }
  return crc;
}

}  // namespace

Result<std::uint32_t> find_seed(file::File& file, SequenceNumber base) {
  const auto no = fail(Errc::kCorrupt,
                       "the header is damaged, and the first records do not tell "
                       "what stood there");
  WEIR_TRY(const std::uint64_t file_bytes, file.size());
  if (file_bytes < kHeaderBytes + 2 * kRecordOverheadBytes) return no;
  Window window(file, file_bytes);
  WEIR_TRY(const Bytes head, window.view(kHeaderBytes, kRecordOverheadBytes));
  const auto stored = load_little<std::uint32_t>(head.data());
  const auto length = load_little<std::uint32_t>(&head[4]);
  const auto sequence = load_little<std::int64_t>(&head[8]);
  if (length == 0 || length > kPayloadBytesMax || sequence != base.value() ||
      length > file_bytes - kHeaderBytes - kRecordOverheadBytes) {
    return no;
  }
  const std::uint64_t covered = kRecordOverheadBytes - sizeof stored + length;
  WEIR_TRY(const std::uint32_t sum, checksum(window, kHeaderBytes + sizeof stored, covered));
  const std::uint32_t seed = unshift_crc32c(stored ^ sum, covered);
  // Any bytes have a seed that fits them. That the next record has the same one is no accident.
  RecordSearch search(window, seed);
  WEIR_TRY(const auto second, search.at(kHeaderBytes + kRecordOverheadBytes + length, base + 1));
  if (!second) return no;
  return seed;
}

}  // namespace weir::segment
