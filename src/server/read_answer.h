#pragma once

#include "base/byte_buffer.h"
#include "base/ids.h"
#include "base/result.h"
#include "stream/stream.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::server {

/// A read whose messages are known to be stored.
struct ReadPlan {
  std::string_view request_id;
  std::string_view stream_name;
  SequenceNumber start;
  SequenceNumber end;  ///< of the stream, when the read was planned
  std::int64_t count_min = 1;
  std::int64_t count_max = 1;
  /// Size of the answer's frame at which to stop once `count_min` is reached, and at which to stop
  /// in any case.
  std::size_t soft_bytes_max = 0;
  std::size_t hard_bytes_max = 0;
};

enum class ReadFit : std::uint8_t {
  kAnswered,    ///< a whole answer stands at the end of the buffer
  kCut,         ///< the same, but it ends early at `soft_bytes_max`; otherwise nothing was added
  kShort,       ///< numbers in between are lost: fewer than `count_min` messages are left
  kTooLarge,    ///< `count_min` messages do not fit
  kWouldBlock,  ///< the disk is needed
};

/// Reads and encodes one answer behind what `out` holds already.
///
/// Errors: what `LogReader::read` returns; nothing was added. Blocks: as `mode` allows.
/// `found` gets the number of messages met, also when they were too few.
Result<ReadFit> encode_read_answer(stream::LogReader& log, const ReadPlan& plan,
                                   stream::ReadMode mode, ByteBuffer& out, std::int64_t& found);

}  // namespace weir::server
