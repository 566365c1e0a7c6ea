#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <string>

namespace weir::destination {

/// Length of the standard base64 text (alphabet with + and /, padded, no line breaks) of `bytes`
/// raw bytes.
constexpr std::size_t base64_size(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

/// Writes the base64 text of `raw` to `to`, which has room for `base64_size(raw.size())`, and
/// returns the end. Pure.
char* write_base64(Bytes raw, char* to);

std::string base64(Bytes raw);

}  // namespace weir::destination
