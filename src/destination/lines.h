#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"

#include <string_view>

namespace weir::destination {

/// True when `payload` has to be followed by `delimiter` to be told from what comes next: it does
/// not end with it already, and there is one. Pure.
bool wants_delimiter(Bytes payload, std::string_view delimiter);

/// Appends `payload`, and `delimiter` where it wants one. Pure.
void append_line(ByteBuffer& to, Bytes payload, std::string_view delimiter);

}  // namespace weir::destination
