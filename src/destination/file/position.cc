#include "destination/file/position.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <sstream>
#include <utility>

namespace weir::destination::file_export {
namespace {

constexpr std::size_t kSlotBytes = 512;  // one sector: written whole or not at all, mostly
constexpr unsigned kSlots = 2;
constexpr std::string_view kMagic = "weir-file-position-1";

struct Slot {
  std::uint64_t generation = 0;
  Position position;
};

// "weir-file-position-1 <generation> <bytes> <opened> =<file> <crc32c of all before>\n", padded.
std::string slot_text(const Slot& slot) {
  std::string text = std::string(kMagic) + ' ' + std::to_string(slot.generation) + ' ' +
                     std::to_string(slot.position.bytes) + ' ' +
                     std::to_string(slot.position.opened_wall_ms) + " =" + slot.position.file + ' ';
  std::array<char, 16> sum{};
  std::snprintf(sum.data(), sum.size(), "%08x\n", crc32c(as_bytes(text)));
  text += sum.data();
  text.resize(kSlotBytes, ' ');
  return text;
}

std::optional<Slot> read_slot(std::string_view text) {
  const auto line = text.substr(0, text.find('\n'));
  const auto space = line.rfind(' ');
  if (space == std::string_view::npos || line.size() - space != 9) return std::nullopt;
  std::uint32_t sum = 0;
  const auto [end, error] =
      std::from_chars(line.data() + space + 1, line.data() + line.size(), sum, 16);
  const auto covered = line.substr(0, space + 1);
  if (error != std::errc{} || end != line.data() + line.size() ||
      crc32c(as_bytes(covered)) != sum) {
    return std::nullopt;
  }
  std::istringstream words{std::string(covered)};
  Slot slot;
  std::string magic;
  std::string file;
  words >> magic >> slot.generation >> slot.position.bytes >> slot.position.opened_wall_ms >> file;
  if (!words || magic != kMagic || !file.starts_with('=')) return std::nullopt;
  slot.position.file = file.substr(1);
  return slot;
}

}  // namespace

Result<PositionStore> PositionStore::open(weir::file::FileSystem& files, std::string name) {
  PositionStore store(std::move(name));
  auto content = weir::file::read_file(files, store.name_, kSlots * kSlotBytes);
  if (!content && content.error().code == Errc::kNotFound) {
    WEIR_TRY(auto file, files.open(store.name_, weir::file::OpenMode::kCreateNew));
    const std::string blank(kSlots * kSlotBytes, ' ');
    const std::array pieces = {as_bytes(blank)};
    WEIR_RETURN_IF_ERROR(file->write_at(0, pieces));
    WEIR_RETURN_IF_ERROR(file->sync());
    WEIR_RETURN_IF_ERROR(files.sync_directory(""));
    return store;
  }
  if (!content) return fail(with_context("read " + store.name_, std::move(content).error()));
  std::uint64_t best = 0;
  for (unsigned i = 0; i < kSlots; ++i) {
    const std::string_view text = as_text(*content);
    if (text.size() < (i + 1) * kSlotBytes) break;
    const auto slot = read_slot(text.substr(i * kSlotBytes, kSlotBytes));
    if (!slot || slot->generation < best) continue;
    best = slot->generation;
    store.last_ = slot->position;
    store.next_slot_ = (i + 1) % kSlots;
  }
  store.generation_ = best;
  return store;
}

Result<void> PositionStore::save(weir::file::FileSystem& files, const Position& position) {
  const std::string text = slot_text({++generation_, position});
  if (text.size() > kSlotBytes) return fail(Errc::kInvalidArgument, "a file name is too long");
  WEIR_TRY(auto file, files.open(name_, weir::file::OpenMode::kReadWrite));
  const std::array pieces = {as_bytes(text)};
  WEIR_RETURN_IF_ERROR(file->write_at(next_slot_ * kSlotBytes, pieces));
  WEIR_RETURN_IF_ERROR(file->sync());
  last_ = position;
  next_slot_ = (next_slot_ + 1) % kSlots;
  return {};
}

}  // namespace weir::destination::file_export
