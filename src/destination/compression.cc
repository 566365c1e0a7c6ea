#include "destination/compression.h"

#include <string>
#include <zlib.h>
#include <zstd.h>

namespace weir::destination {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window, with gzip's head and tail

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

Result<ByteBuffer> compressed(Bytes plain, Compression compression) {
  return compression == Compression::kGzip ? gzipped(plain) : zstd_packed(plain);
}

std::size_t compressed_bytes_max(std::size_t bytes, Compression compression) {
  if (compression == Compression::kNone) return bytes;
  if (compression == Compression::kZstd) return ZSTD_compressBound(bytes);
  // What zlib states for any settings, and gzip's head and tail.
  return bytes + ((bytes + 7) >> 3U) + ((bytes + 63) >> 6U) + 5 + 18;
}

std::string_view compression_name(Compression compression) {
  if (compression == Compression::kGzip) return "gzip";
  return compression == Compression::kZstd ? "zstd" : "";
}

}  // namespace weir::destination
