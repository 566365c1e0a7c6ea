// What a nucleus may send: the decoder finds the same messages however the bytes are cut, and what
// it finds is written as it was read.

#include "greengrass/event_stream.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Found whole = decode(bytes, size + 1);
  if (!(decode(bytes, 1) == whole)) std::abort();
  std::string again;
  for (const Message& message : whole.messages) {
    const auto encoded = weir::greengrass::encode(message);
    if (!encoded) std::abort();
    again += *encoded;
  }
  if (bytes.substr(0, again.size()) != again) std::abort();
  return 0;
}
