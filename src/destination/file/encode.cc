#include "destination/file/encode.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <zlib.h>
#include <zstd.h>

namespace weir::destination::file_export {
namespace {

constexpr std::size_t kFrameHeadBytes = 4;
constexpr int kGzipWindowBits = 15 + 16;  // the largest window, with gzip's head and tail

// Returns true when the message had to be changed in a way that is not only layout.
bool append_line(ByteBuffer& to, Bytes payload) {
  const std::string_view text = as_text(payload);
  bool changed = false;
  if (text.find('\n') == std::string_view::npos) {
    to.append(payload);
  } else if (nlohmann::json::accept(text.begin(), text.end())) {
    auto* at = to.extend(payload.size());
    std::replace_copy(payload.begin(), payload.end(), at, std::byte{'\n'}, std::byte{' '});
  } else {
    changed = true;
    for (const char c : text) to.append(as_bytes(c == '\n' ? "\\n" : std::string_view(&c, 1)));
  }
  to.append(std::byte{'\n'});
  return changed;
}

void append_frame(ByteBuffer& to, Bytes payload) {
  store_big32(to.extend(kFrameHeadBytes), static_cast<std::uint32_t>(payload.size()));
  to.append(payload);
}

Result<ByteBuffer> gzipped(Bytes plain) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindowBits, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Errc::kUnavailable, "compress a batch: no memory for gzip");
  }
  ByteBuffer packed;
  const std::size_t room = deflateBound(&stream, plain.size());
  // zlib does not write to its input.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.extend(room));
  stream.avail_out = static_cast<uInt>(room);
  const int result = deflate(&stream, Z_FINISH);
  packed.truncate(room - stream.avail_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return fail(Errc::kUnavailable, "compress a batch: gzip failed");
  return packed;
}

Result<ByteBuffer> zstd_packed(Bytes plain) {
  ByteBuffer packed;
  const std::size_t room = ZSTD_compressBound(plain.size());
  const std::size_t size =
      ZSTD_compress(packed.extend(room), room, plain.data(), plain.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0) {
    return fail(Errc::kUnavailable,
                std::string("compress a batch: zstd: ") + ZSTD_getErrorName(size));
  }
  packed.truncate(size);
  return packed;
}

}  // namespace

Result<EncodedBatch> encode(const exporter::Batch& batch, const FileOptions& options) {
  EncodedBatch encoded;
  encoded.bytes.reserve(batch.payload_bytes() + batch.size() * kFrameHeadBytes);
  for (const exporter::Message& message : batch.messages()) {
    if (options.format == FileOptions::Format::kLength) {
      append_frame(encoded.bytes, message.payload);
    } else if (append_line(encoded.bytes, message.payload)) {
      ++encoded.escaped_messages;
    }
  }
  if (options.compression == FileOptions::Compression::kGzip) {
    WEIR_TRY(encoded.bytes, gzipped(encoded.bytes.bytes()));
  } else if (options.compression == FileOptions::Compression::kZstd) {
    WEIR_TRY(encoded.bytes, zstd_packed(encoded.bytes.bytes()));
  }
  return encoded;
}

}  // namespace weir::destination::file_export
