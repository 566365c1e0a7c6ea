#pragma once

#include "base/bytes.h"
#include "base/ids.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What a store and each of its streams remember beside definitions and messages, one slot each
/// (slot_file.h).
namespace weir::stream {

inline constexpr std::size_t kStateSlotBytes = 512;

/// Of the whole store.
struct StoreState {
  /// The last stop was orderly: what `StreamState` says of the end of each log is exact.
  bool clean = false;
  /// Where the kernel ran that this store was last written under; empty = unknown.
  std::string boot_id;
  /// How often a kernel restart was met without an orderly stop before it.
  std::uint64_t epoch = 0;
  /// All ids ever given to a stream are below.
  std::uint64_t next_id = 1;
};
ByteVector encode(const StoreState& state);
std::optional<StoreState> decode_store_state(Bytes from);

/// Numbers [from, to) were never used: after an unclean stop, or because messages were lost.
struct Jump {
  SequenceNumber from;
  SequenceNumber to;
  friend bool operator==(const Jump&, const Jump&) = default;
};
/// How many of the latest jumps are remembered. An older one would look like lost messages.
inline constexpr std::size_t kJumpsMax = 16;

/// The number behind the last one in use before a segment that begins at `base`, which is not
/// before `least`. Several jumps in a row are followed: a segment without messages may have stood
/// between them.
SequenceNumber used_before(const std::vector<Jump>& jumps, SequenceNumber base,
                           SequenceNumber least);

/// How many numbers are reserved at a time (reliability.md Q2): as many as were used so far, within
/// these bounds. A power cut skips what was reserved and not used.
inline constexpr std::int64_t kNumbersReservedMin = 4'096;
inline constexpr std::int64_t kNumbersReservedMax = 65'536;

/// Of one File stream.
struct StreamState {
  /// Numbers that may have been shown are below (reliability.md Q2). Counts only when the store's
  /// epoch is higher than the one it was written in: as long as the same kernel runs, the log
  /// itself is the truth.
  SequenceNumber bound;
  std::uint64_t epoch = 0;
  /// Everything below was removed by retention.
  SequenceNumber floor;
  /// No message gets a number below: the disk lost some that had been shown.
  SequenceNumber at_least;
  /// Everything below is on stable storage. May lag behind.
  SequenceNumber durable;
  /// The last segment as it was left by an orderly stop.
  SequenceNumber last_base{-1};
  std::uint64_t last_end_offset = 0;
  SequenceNumber next;
  std::int64_t last_newest_append_ms = 0;
  /// Messages lost to damage so far.
  std::int64_t lost_messages = 0;
  std::vector<Jump> jumps;

  friend bool operator==(const StreamState&, const StreamState&) = default;
};
ByteVector encode(const StreamState& state);
std::optional<StreamState> decode_stream_state(Bytes from);

}  // namespace weir::stream
