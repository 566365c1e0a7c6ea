#include "stream/state_keeper.h"

#include <utility>

namespace weir::stream {

StateKeeper::StateKeeper(file::FileSystem& disk, std::string path, StreamState state,
                         const SlotContent& slot, bool durable)
    : disk_(disk),
      path_(std::move(path)),
      state_(std::move(state)),
      slots_(kStateSlotBytes, slot),
      confirmed_(durable ? slot.generation : 0) {}

Result<std::uint64_t> StateKeeper::write() {
  auto file = disk_.open(path_, file::OpenMode::kReadWrite);
  if (!file && file.error().code == Errc::kNotFound) {
    // Somebody removed it; both slots are written anew.
    WEIR_RETURN_IF_ERROR(
        create_slots(disk_, path_, kStateSlotBytes, encode(state_), /*sync=*/true));
    file = disk_.open(path_, file::OpenMode::kReadWrite);
  }
  if (!file) return fail(std::move(file).error());
  return slots_.write(**file, encode(state_));
}

Result<void> StateKeeper::sync(file::FileSystem& disk, const std::string& path) {
  WEIR_TRY(const auto file, disk.open(path, file::OpenMode::kReadWrite));
  return file->sync();
}

}  // namespace weir::stream
