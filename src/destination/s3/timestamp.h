#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::destination::s3 {

/// Formats a moment in UTC by a pattern of Java's DateTimeFormatter with English text and the weeks
/// of the United States (destinations.md §24): what `!{timestamp:...}` in an object key means.
///
/// Letters whose output depends on the JDK, the locale or the zone's spelling are refused, as is
/// everything that Java refuses. `wall_ns` is nanoseconds since 1970. Pure.
/// Errors: kInvalidArgument, naming the letter or the place.
Result<std::string> format_timestamp(std::string_view pattern, std::int64_t wall_ns);

/// True if `pattern` contains the week-based year `Y` outside quotes: nearly always a mistake for
/// `y`, and wrong for a few days around New Year. Pure.
bool uses_week_year(std::string_view pattern);

}  // namespace weir::destination::s3
