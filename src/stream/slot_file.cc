#include "stream/slot_file.h"

#include "base/check.h"
#include "base/crc32c.h"

#include <array>
#include <cstring>
#include <string>

namespace weir::stream {
namespace {

constexpr std::uint64_t kMagic = 0x31544F4C53524957ULL;  // "WIRSLOT1"

}  // namespace

// crc:u32 length:u32 magic:u64 generation:u64 payload zeros; the checksum covers all that follows.
ByteVector encode_slot(Bytes payload, std::uint64_t generation, std::size_t slot_bytes) {
  WEIR_CHECK(payload.size() <= slot_bytes - kSlotHeadBytes, "the payload must fit its slot");
  ByteVector slot(slot_bytes);
  store_little(slot.data() + 4, static_cast<std::uint32_t>(payload.size()));
  store_little(slot.data() + 8, kMagic);
  store_little(slot.data() + 16, generation);
  if (!payload.empty()) {
    std::memcpy(slot.data() + kSlotHeadBytes, payload.data(), payload.size());
  }
  store_little(slot.data(), crc32c(Bytes(slot).subspan(4)));
  return slot;
}

std::optional<SlotContent> decode_slot(Bytes slot) {
  if (slot.size() < kSlotHeadBytes) return std::nullopt;
  if (load_little<std::uint64_t>(slot.data() + 8) != kMagic) return std::nullopt;
  if (load_little<std::uint32_t>(slot.data()) != crc32c(slot.subspan(4))) return std::nullopt;
  const auto length = load_little<std::uint32_t>(slot.data() + 4);
  if (length > slot.size() - kSlotHeadBytes) return std::nullopt;
  const Bytes payload = slot.subspan(kSlotHeadBytes, length);
  SlotContent content;
  content.payload.assign(payload.begin(), payload.end());
  content.generation = load_little<std::uint64_t>(slot.data() + 16);
  return content;
}

Result<void> create_slots(file::FileSystem& files, std::string_view path, std::size_t slot_bytes,
                          Bytes payload, bool sync) {
  WEIR_TRY(auto file, files.open(path, file::OpenMode::kCreateNew));
  const ByteVector first = encode_slot(payload, 1, slot_bytes);
  const ByteVector second(slot_bytes);
  const std::array<Bytes, 2> pieces{Bytes(first), Bytes(second)};
  WEIR_RETURN_IF_ERROR(file->write_at(0, pieces));
  if (sync) WEIR_RETURN_IF_ERROR(file->sync());
  return {};
}

Result<SlotContent> read_slots(file::FileSystem& files, std::string_view path,
                               std::size_t slot_bytes) {
  WEIR_TRY(const auto file, files.open(path, file::OpenMode::kRead));
  ByteVector both(slot_bytes * 2);
  WEIR_TRY(const std::size_t got, file->read_at(0, both));
  std::optional<SlotContent> best;
  bool damaged = false;
  for (unsigned slot = 0; slot < 2; ++slot) {
    if (got < slot_bytes * slot) break;
    const std::size_t here = std::min(slot_bytes, got - slot_bytes * slot);
    const Bytes bytes = Bytes(both).subspan(slot_bytes * slot, here);
    auto content = here == slot_bytes ? decode_slot(bytes) : std::nullopt;
    if (!content) {
      for (const std::byte b : bytes) damaged = damaged || b != std::byte{0};
      continue;
    }
    content->slot = slot;
    if (!best || content->generation > best->generation) best = std::move(content);
  }
  if (!best) return fail(Errc::kCorrupt, std::string(path) + ": neither of its two slots is valid");
  best->other_slot_damaged = damaged;
  return std::move(*best);
}

SlotWriter::SlotWriter(std::size_t slot_bytes, const SlotContent& present)
    : slot_bytes_(slot_bytes),
      generation_(present.generation),
      durable_slot_(present.slot),
      written_slot_(present.slot) {}

Result<std::uint64_t> SlotWriter::write(file::File& file, Bytes payload) {
  written_slot_ = 1 - durable_slot_;
  const ByteVector bytes = encode_slot(payload, ++generation_, slot_bytes_);
  const std::array<Bytes, 1> pieces{Bytes(bytes)};
  WEIR_RETURN_IF_ERROR(file.write_at(slot_bytes_ * written_slot_, pieces));
  return generation_;
}

void SlotWriter::synced(std::uint64_t generation) {
  if (generation == generation_) durable_slot_ = written_slot_;
}

}  // namespace weir::stream
