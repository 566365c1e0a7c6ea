#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"

#include <cstddef>
#include <optional>
#include <string_view>

/// A record as it stands in a queue stream: one byte version (1), the length of the id in two
/// bytes, the more significant first, the id, the data. docs/firehose-connector.md describes it
/// too.
namespace weir::connector {

inline constexpr std::size_t kEnvelopeHeadBytes = 3;

/// Appends the envelope. `id` has at most `kIdBytesMax` bytes.
void append_envelope(ByteBuffer& to, std::string_view id, Bytes data);

/// A record in its envelope; views of it.
struct Enveloped {
  std::string_view id;
  Bytes data;
};

/// None if this is no envelope of a version that is known. Pure.
std::optional<Enveloped> read_envelope(Bytes stored);

}  // namespace weir::connector
