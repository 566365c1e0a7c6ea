#pragma once

#include <string_view>

namespace weir::destination {

/// Whether this can be the name of a region: it becomes part of host names (destinations.md §22).
/// Pure.
bool is_region_name(std::string_view text);

}  // namespace weir::destination
