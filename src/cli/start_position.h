#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::cli {

class Client;

/// Where `sub --from` begins.
struct StartPosition {
  enum class Kind : std::uint8_t { kStart, kEnd, kLast, kSequence, kTime };
  Kind kind = Kind::kStart;
  std::int64_t value = 0;  ///< messages for kLast, number for kSequence, ms for kTime
};

/// "start", "end", "-10", "4711", or a time as `parse_time_ms` reads it.
std::optional<StartPosition> parse_start_position(std::string_view text);

/// The number of the first message to read, in a stream that holds `oldest` to `newest`. For a
/// time, asks the server for single messages, about as many as the logarithm of the stream.
Result<std::int64_t> find_start(Client& client, std::string_view stream,
                                const StartPosition& position, std::int64_t oldest,
                                std::int64_t newest);

}  // namespace weir::cli
