#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <optional>
#include <string_view>

/// Small records that are replaced in place and survive a crash while they are: a file of two
/// slots, each with a generation and a checksum, written in turn. Needs no space to change, so it
/// works on a full disk. A slot of up to 512 bytes is one sector, which disks write whole.
namespace weir::stream {

inline constexpr std::size_t kSlotHeadBytes = 24;

/// What stands in a slot file.
struct SlotContent {
  ByteVector payload;
  std::uint64_t generation = 0;
  unsigned slot = 0;                ///< where `payload` was found
  bool other_slot_damaged = false;  ///< and not merely unused
};

/// One slot: checksum, length, generation, payload, zeros. Requires: `payload` fits.
ByteVector encode_slot(Bytes payload, std::uint64_t generation, std::size_t slot_bytes);
/// None if the bytes are not a valid slot.
std::optional<SlotContent> decode_slot(Bytes slot);

/// Creates the file with `payload` in its first slot and room for the second. Not synced.
Result<void> create_slots(file::FileSystem& files, std::string_view path, std::size_t slot_bytes,
                          Bytes payload, bool sync);
/// The newest valid content. Errors: kNotFound, kCorrupt (neither slot is valid), kIo.
Result<SlotContent> read_slots(file::FileSystem& files, std::string_view path,
                               std::size_t slot_bytes);

/// Decides which slot to write next, so that there is always one that is known to be durable.
/// Threads: one at a time; the file itself may be synced elsewhere.
class SlotWriter {
 public:
  SlotWriter(std::size_t slot_bytes, const SlotContent& present);

  /// Writes a new generation to the page cache. Not durable until the file was synced.
  Result<std::uint64_t> write(file::File& file, Bytes payload);
  /// The file was synced, beginning after `generation` had been written.
  void synced(std::uint64_t generation);
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  std::size_t slot_bytes_;
  std::uint64_t generation_;
  unsigned durable_slot_;
  unsigned written_slot_;  ///< the one with `generation_`
};

}  // namespace weir::stream
