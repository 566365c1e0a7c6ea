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

constexpr std::string_view kBegin = R"({"weirDeadLetter":1,"stream":)";
// Each is in a dead-letter stream of its own, so a person has set up as many.
constexpr int kLettersInLettersMax = 8;

}  // namespace

ByteVector encode_dead_letter(const DeadLetter& letter) {
  const std::string head = fmt::format(
      "{}{},\"export\":{},\"type\":{},\"sequenceNumber\":{},"
      "\"appendTime\":{},\"refusedTime\":{},\"payloadBytes\":{},\"reason\":{}}}\n",
      kBegin, json_text(letter.stream), json_text(letter.identifier), json_text(letter.type),
      letter.sequence.value(), letter.append_ms, letter.refused_ms, letter.payload.size(),
      json_text(letter.reason));
  ByteVector message;
  message.reserve(head.size() + letter.payload.size());
  const Bytes bytes = as_bytes(head);
  message.insert(message.end(), bytes.begin(), bytes.end());
  message.insert(message.end(), letter.payload.begin(), letter.payload.end());
  return message;
}

bool is_dead_letter(Bytes message) { return as_text(message).starts_with(kBegin); }

bool comes_from(Bytes message, std::string_view stream) {
  const std::string name = json_text(stream) + ",";
  std::string_view text = as_text(message);
  for (int letters = 0; text.starts_with(kBegin); ++letters) {
    if (letters == kLettersInLettersMax) return true;
    text.remove_prefix(kBegin.size());
    if (text.starts_with(name)) return true;
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace weir::exporter
