#pragma once

#include "base/byte_buffer.h"
#include "base/result.h"
#include "destination/options.h"
#include "exporter/destination.h"

#include <cstdint>

namespace weir::destination::file_export {

struct EncodedBatch {
  ByteBuffer bytes;
  std::int64_t escaped_messages = 0;  ///< changed because they contain line feeds
};

/// A batch as it is appended to a file, whole in itself: compressed ones are a gzip member or a
/// zstd frame of their own, so everything before a torn end can be read.
///
/// - newline: every message and a line feed, which it may have brought. A line feed inside a JSON
/// document is only layout and
///   becomes a space; in any other message it becomes the two characters \n, and is counted.
/// - length: four bytes of length, most significant first, then the message as it is.
///
/// Errors: kUnavailable (the compressor had no memory). Pure.
Result<EncodedBatch> encode(const exporter::Batch& batch, const FileOptions& options);

}  // namespace weir::destination::file_export
