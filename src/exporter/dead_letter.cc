#include "exporter/dead_letter.h"

#include "base/log.h"

#include <fmt/format.h>
#include <string_view>

namespace weir::exporter {
namespace {

// A reason comes escaped, so it is printable; what is left to do is what JSON itself uses. Names
// are checked by the protocol, but identifiers may hold anything.
std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

ByteVector encode_dead_letter(const DeadLetter& letter) {
  const std::string head = fmt::format(
      "{{\"weirDeadLetter\":1,\"stream\":{},\"export\":{},\"type\":{},\"sequenceNumber\":{},"
      "\"appendTime\":{},\"refusedTime\":{},\"payloadBytes\":{},\"reason\":{}}}\n",
      json_text(letter.stream), json_text(letter.identifier), json_text(letter.type),
      letter.sequence.value(), letter.append_ms, letter.refused_ms, letter.payload.size(),
      json_text(letter.reason));
  ByteVector message;
  message.reserve(head.size() + letter.payload.size());
  const Bytes bytes = as_bytes(head);
  message.insert(message.end(), bytes.begin(), bytes.end());
  message.insert(message.end(), letter.payload.begin(), letter.payload.end());
  return message;
}

}  // namespace weir::exporter
