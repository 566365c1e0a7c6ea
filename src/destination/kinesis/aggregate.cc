#include "destination/kinesis/aggregate.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <openssl/evp.h>

namespace weir::destination::kinesis {
namespace {

constexpr std::array<std::byte, 4> kMagic = {std::byte{0xf3}, std::byte{0x89}, std::byte{0x9a},
                                             std::byte{0xc2}};
constexpr std::size_t kDigestBytes = 16;

// Fields of AggregatedRecord and Record, with their wire types.
constexpr std::byte kKeyTableTag{0x0a};
constexpr std::byte kRecordTag{0x1a};
constexpr std::byte kKeyIndexTag{0x08};
constexpr std::byte kDataTag{0x1a};

constexpr std::size_t varint_bytes(std::size_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7U) ++bytes;
  return bytes;
}

void append_varint(ByteBuffer& to, std::size_t value) {
  for (; value >= 0x80; value >>= 7U) to.append(static_cast<std::byte>(value | 0x80U));
  to.append(static_cast<std::byte>(value));
}

// The index of the key (always the first) and the data.
constexpr std::size_t record_bytes(std::size_t data_bytes) {
  return 2 + 1 + varint_bytes(data_bytes) + data_bytes;
}

}  // namespace

bool looks_aggregated(Bytes data) {
  return data.size() >= kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), data.begin());
}

AggregateSize::AggregateSize(std::size_t key_bytes)
    : bytes_(kMagic.size() + kDigestBytes + 1 + varint_bytes(key_bytes) + key_bytes) {}

std::size_t AggregateSize::with(std::size_t data_bytes) const {
  const std::size_t record = record_bytes(data_bytes);
  return bytes_ + 1 + varint_bytes(record) + record;
}

ByteBuffer aggregate(std::string_view key, std::span<const Bytes> records) {
  AggregateSize size(key.size());
  for (const Bytes& data : records) size.add(data.size());
  ByteBuffer out;
  out.reserve(size.bytes());
  out.append(kMagic);
  out.append(kKeyTableTag);
  append_varint(out, key.size());
  out.append(as_bytes(key));
  for (const Bytes& data : records) {
    out.append(kRecordTag);
    append_varint(out, record_bytes(data.size()));
    out.append(kKeyIndexTag);  // required, so written although it is 0
    append_varint(out, 0);
    out.append(kDataTag);
    append_varint(out, data.size());
    out.append(data);
  }
  const Bytes message = out.bytes().subspan(kMagic.size());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned digest_bytes = 0;
  const int done =
      EVP_Digest(message.data(), message.size(), digest.data(), &digest_bytes, EVP_md5(), nullptr);
  WEIR_CHECK(done == 1 && digest_bytes == kDigestBytes, "OpenSSL has no MD5");
  out.append(std::as_bytes(std::span(digest).first(kDigestBytes)));
  return out;
}

}  // namespace weir::destination::kinesis
