#include "daemon/archive.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <fmt/format.h>
#include <zlib.h>

namespace weir::daemon {
namespace {

constexpr std::size_t kBlockBytes = 512;
constexpr std::size_t kNameBytesMax = 99;
constexpr int kGzipWindow = 15 + 16;  // the largest, with a gzip header

// A field of the header: octal digits that fill it up to the closing NUL.
void put_octal(char* field, std::size_t bytes, std::uint64_t value) {
  const std::string text = fmt::format("{:0{}o}", value, bytes - 1);
  std::copy_n(text.data(), std::min(text.size(), bytes - 1), field);
}

std::array<char, kBlockBytes> header_of(const ArchiveFile& file, std::int64_t seconds) {
  std::array<char, kBlockBytes> header{};
  char* at = header.data();
  std::memcpy(at, file.name.data(), file.name.size());
  put_octal(at + 100, 8, 0600);
  put_octal(at + 108, 8, 0);  // user
  put_octal(at + 116, 8, 0);  // group
  put_octal(at + 124, 12, file.content.size());
  put_octal(at + 136, 12, static_cast<std::uint64_t>(std::max<std::int64_t>(0, seconds)));
  at[156] = '0';  // a regular file
  std::memcpy(at + 257,
              "ustar\0"
              "00",
              8);
  // The sum is taken with blanks in its own place.
  std::memset(at + 148, ' ', 8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  const std::string text = fmt::format("{:06o}", sum);
  std::memcpy(at + 148, text.data(), 6);
  at[154] = '\0';
  return header;
}

Result<std::string> gzip(std::string_view plain) {
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Errc::kIo, "compress the archive: not enough memory");
  }
  std::string packed(::deflateBound(&stream, plain.size()), '\0');
  // zlib does not write to its input, it only forgot to say so.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int ended = ::deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (ended != Z_STREAM_END) return fail(Errc::kIo, "compress the archive: zlib gave up");
  return packed;
}

}  // namespace

Result<std::string> tar_gz(const std::vector<ArchiveFile>& files, std::int64_t seconds) {
  std::string tar;
  for (const ArchiveFile& file : files) {
    if (file.name.empty() || file.name.size() > kNameBytesMax) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'{}' is no name for a file in an archive", log::escaped(file.name)));
    }
    const auto header = header_of(file, seconds);
    tar.append(header.data(), header.size());
    tar += file.content;
    tar.append((kBlockBytes - tar.size() % kBlockBytes) % kBlockBytes, '\0');
  }
  tar.append(2 * kBlockBytes, '\0');
  return gzip(tar);
}

}  // namespace weir::daemon
