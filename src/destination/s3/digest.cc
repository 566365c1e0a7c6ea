#include "destination/s3/digest.h"

#include "base/bytes.h"
#include "base/check.h"
#include "destination/base64.h"

#include <algorithm>
#include <array>
#include <memory>
#include <openssl/evp.h>
#include <vector>
#include <zlib.h>

namespace weir::destination::s3 {
namespace {

constexpr std::int64_t kStepBytes = 256 * 1024;

class Hash {
 public:
  explicit Hash(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    WEIR_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1,
               "OpenSSL has the digests that S3 needs");
  }
  void add(Bytes bytes) {
    WEIR_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
               "a digest takes any bytes");
  }
  // As many bytes as `to` has.
  template <std::size_t kSize>
  std::array<std::byte, kSize> finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    WEIR_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1 && size == kSize,
               "a digest has its own size");
    std::array<std::byte, kSize> out{};
    std::transform(digest.begin(), digest.begin() + kSize, out.begin(),
                   [](unsigned char c) { return static_cast<std::byte>(c); });
    return out;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string hex_of(Bytes bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += kDigits[std::to_integer<unsigned>(b) >> 4U];
    text += kDigits[std::to_integer<unsigned>(b) & 15U];
  }
  return text;
}

}  // namespace

Result<Digest> digest_part(const InputFile& file, std::int64_t offset, std::int64_t bytes,
                           bool with_sha256, const std::stop_token& stop) {
  Hash md5(EVP_md5());
  Hash sha256(EVP_sha256());
  Digest digest;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(bytes, kStepBytes)));
  for (std::int64_t done = 0; done < bytes;) {
    if (stop.stop_requested()) return fail(Errc::kCancelled, "the upload was interrupted");
    const auto piece = static_cast<std::size_t>(std::min(bytes - done, kStepBytes));
    const MutableBytes view(buffer.data(), piece);
    WEIR_RETURN_IF_ERROR(file.read(offset + done, view));
    md5.add(view);
    if (with_sha256) sha256.add(view);
    digest.crc32 = static_cast<std::uint32_t>(
        crc32_z(digest.crc32, reinterpret_cast<const unsigned char*>(buffer.data()), piece));
    done += static_cast<std::int64_t>(piece);
  }
  digest.md5 = md5.finish<16>();
  if (with_sha256) digest.sha256_hex = hex_of(sha256.finish<32>());
  return digest;
}

std::string hex(const Md5& md5) { return hex_of(md5); }

std::string multipart_etag(const std::vector<Digest>& parts) {
  Hash all(EVP_md5());
  for (const Digest& part : parts) all.add(part.md5);
  return hex_of(all.finish<16>()) + "-" + std::to_string(parts.size());
}

std::string crc32_text(std::uint32_t crc32) {
  std::array<std::byte, 4> big{};
  store_big32(big.data(), crc32);
  return base64(big);
}

std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::int64_t second_bytes) {
  return static_cast<std::uint32_t>(crc32_combine(first, second, second_bytes));
}

std::uint32_t crc32_of_parts(const std::vector<Digest>& parts, std::int64_t part_bytes,
                             std::int64_t bytes) {
  std::uint32_t crc32 = 0;
  for (const Digest& part : parts) {
    crc32 = crc32_joined(crc32, part.crc32, std::min(bytes, part_bytes));
    bytes -= part_bytes;
  }
  return crc32;
}

}  // namespace weir::destination::s3
