#pragma once

#include <gtest/gtest.h>
#include <string>
#include <zlib.h>
#include <zstd.h>

namespace weir::destination::testing {

/// What a reader makes of a gzip member or zstd frame of at most 64 KiB, by asking the libraries.
inline std::string decompressed(const std::string& packed) {
  std::string plain(1 << 16, '\0');
  if (packed.starts_with("\x1f\x8b")) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string input = packed;
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    plain.resize(stream.total_out);
    inflateEnd(&stream);
    return plain;
  }
  const std::size_t size =
      ZSTD_decompress(plain.data(), plain.size(), packed.data(), packed.size());
  EXPECT_EQ(ZSTD_isError(size), 0U);
  plain.resize(size);
  return plain;
}

}  // namespace weir::destination::testing
