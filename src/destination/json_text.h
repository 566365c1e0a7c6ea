#pragma once

#include "base/byte_buffer.h"

#include <string_view>

namespace weir::destination {

/// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters
/// escaped, valid UTF-8 as it is, invalid bytes as U+FFFD. Pure.
void append_json_text(ByteBuffer& to, std::string_view text);

/// How many bytes the valid UTF-8 character at the start of `text` (not empty) has; 0 if there is
/// none. Pure.
std::size_t utf8_sequence_bytes(std::string_view text);

/// The most bytes that `append_json_text` can add for `bytes` bytes of text.
constexpr std::size_t json_text_bytes_max(std::size_t bytes) { return bytes * 6; }

}  // namespace weir::destination
