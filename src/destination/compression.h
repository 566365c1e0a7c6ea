#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "destination/options.h"

#include <string_view>

namespace weir::destination {

/// `plain` as one gzip member or one zstd frame, whole in itself: several behind each other are
/// read as one by the usual tools. Errors: kUnavailable (no memory). Pure.
/// Requires: not `Compression::kNone`.
Result<ByteBuffer> compressed(Bytes plain, Compression compression);

/// The most bytes that `compressed` makes of `bytes` bytes.
std::size_t compressed_bytes_max(std::size_t bytes, Compression compression);

/// The name in Content-Encoding and file names: "gzip", "zstd"; "" for none.
std::string_view compression_name(Compression compression);

}  // namespace weir::destination
