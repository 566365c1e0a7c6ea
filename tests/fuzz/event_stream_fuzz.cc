// What a nucleus may send: the decoder finds the same messages however the bytes are cut, and what
// it finds is written as it was read.

#include "greengrass/event_stream.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

namespace {

using weir::greengrass::Decoder;
using weir::greengrass::Message;

struct Found {
  std::vector<Message> messages;
  bool damaged = false;
  bool operator==(const Found&) const = default;
};

Found decode(std::string_view bytes, std::size_t piece) {
  Decoder decoder;
  Found found;
  while (true) {
    auto message = decoder.next();
    if (!message) {
      found.damaged = true;
      return found;
    }
    if (*message) {
      found.messages.push_back(std::move(**message));
      continue;
    }
    if (bytes.empty()) return found;
    decoder.append(bytes.substr(0, piece));
    bytes.remove_prefix(piece < bytes.size() ? piece : bytes.size());
  }
}

void append_number(std::string& bytes, std::size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

std::size_t crc_of(const std::string& bytes) {
  return ::crc32(0L, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
}

// A message whose checksums are right, with these bytes as headers: no fuzzer guesses checksums.
std::string sealed(std::string_view headers) {
  std::string bytes;
  append_number(bytes, headers.size() + 16);
  append_number(bytes, headers.size());
  append_number(bytes, crc_of(bytes));
  bytes += headers;
  append_number(bytes, crc_of(bytes));
  return bytes;
}

// Whether each message found is written as it was read.
void expect_same(std::string_view bytes, const Found& found) {
  std::string again;
  for (const Message& message : found.messages) {
    const auto encoded = weir::greengrass::encode(message);
    if (!encoded) std::abort();
    again += *encoded;
  }
  if (bytes.substr(0, again.size()) != again) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Found whole = decode(bytes, size + 1);
  if (!(decode(bytes, 1) == whole)) std::abort();
  expect_same(bytes, whole);
  const std::string message = sealed(bytes);
  const Found inside = decode(message, message.size());
  if (inside.damaged == (inside.messages.size() == 1)) std::abort();
  expect_same(message, inside);
  return 0;
}
