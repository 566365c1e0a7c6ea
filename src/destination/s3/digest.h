#pragma once

#include "base/result.h"
#include "destination/s3/input_file.h"

#include <array>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::destination::s3 {

using Md5 = std::array<std::byte, 16>;

/// What is told of a body before it is sent, so that damage on the way is noticed.
struct Digest {
  Md5 md5{};
  std::uint32_t crc32 = 0;
  std::string sha256_hex;  ///< "" unless asked for
};

/// Reads `bytes` bytes of `file` from `offset` on, in pieces of at most 256 KiB.
/// Errors: those of `InputFile::read`; kCancelled. Blocks: on disk.
Result<Digest> digest_part(const InputFile& file, std::int64_t offset, std::int64_t bytes,
                           bool with_sha256, const std::stop_token& stop);

/// Lower-case hexadecimal text.
std::string hex(const Md5& md5);

/// The ETag, without quotes, that S3 gives an object of these parts unless it encrypts them with a
/// key of its own. Pure.
std::string multipart_etag(const std::vector<Digest>& parts);

/// A CRC-32 as S3 writes it: the base64 text of its four bytes, the highest first. Pure.
std::string crc32_text(std::uint32_t crc32);

/// The CRC-32 of two pieces behind each other, the second of `second_bytes` bytes. Pure.
std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::int64_t second_bytes);

/// The CRC-32 of an object of `bytes` bytes; all its parts but the last have `part_bytes`. Pure.
std::uint32_t crc32_of_parts(const std::vector<Digest>& parts, std::int64_t part_bytes,
                             std::int64_t bytes);

}  // namespace weir::destination::s3
