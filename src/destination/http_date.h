#pragma once

#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::destination {

/// Milliseconds since 1970 of an HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT"); none if `text` is
/// not one. The two obsolete forms are not read. Pure.
std::optional<std::int64_t> parse_http_date(std::string_view text);

/// The wait that a Retry-After value (seconds or a date) asks for, clamped to 0 to 300 s; none if
/// it is neither. Pure.
std::optional<Duration> parse_retry_after(std::string_view text, std::int64_t now_wall_ms);

}  // namespace weir::destination
