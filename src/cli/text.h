#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Sizes, durations, times and numbers as people write and read them.
namespace weir::cli {

/// "4096", "64MiB", "1.5 GB", "10k": binary for KiB, MiB, ... and for a bare k, M, G, T; decimal
/// for kB, MB, .... None if it is anything else, or not a whole number of bytes, or negative.
std::optional<std::int64_t> parse_bytes(std::string_view text);

/// "500ms", "90s", "5min", "2h", "7d", or milliseconds without a unit.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

/// ISO 8601: "2026-11-20", "2026-11-20T11:24", "2026-11-20T11:24:27.5Z", "...+01:00". Without a
/// zone it is UTC. Milliseconds since 1970.
std::optional<std::int64_t> parse_time_ms(std::string_view text);

/// A delimiter with \n, \t, \r, \0, \\ and \xHH written out. None for any other escape.
std::optional<std::string> parse_escapes(std::string_view text);

std::string grouped(std::int64_t number);                         ///< "81,230"
std::string counted(std::int64_t number, std::string_view noun);  ///< "1 message", "2 messages"
std::string human_duration(std::int64_t ms);  ///< "350 ms", "48 s", "2 h 4 min", "3 d 1 h"
std::string human_bytes(std::int64_t bytes);  ///< "512 B", "1.2 MiB"
std::string iso_time(std::int64_t wall_ms);   ///< "2026-11-20T11:24:27.123Z"

std::string base64(std::string_view bytes);
/// The other way round; none if `text` is not exactly what `base64` writes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace weir::cli
