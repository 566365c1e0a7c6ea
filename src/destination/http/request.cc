#include "destination/http/request.h"

#include "destination/base64.h"
#include "destination/json_text.h"

namespace weir::destination::http {
namespace {

// A stream's name is ASCII by the protocol's rules; whatever else got here must not forge headers.
std::string header_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return out;
}

std::string number(std::int64_t value) { return std::to_string(value); }

}  // namespace

ByteBuffer json_batch_body(const std::string& stream_name,
                           std::span<const exporter::Message> messages) {
  constexpr std::size_t kMembersBytesMax = 128;
  ByteBuffer name;
  append_json_text(name, stream_name);
  std::size_t bytes_max = 2;
  for (const exporter::Message& message : messages) {
    bytes_max += base64_size(message.payload.size()) + name.size() + kMembersBytesMax;
  }
  ByteBuffer body;
  body.reserve(bytes_max);
  const char* separator = "[{\"streamName\":\"";
  for (const exporter::Message& message : messages) {
    body.append(as_bytes(separator));
    body.append(name.bytes());
    body.append(as_bytes("\",\"sequenceNumber\":" + number(message.sequence.value()) +
                         ",\"ingestTime\":" + number(message.append_ms) + ",\"payload\":\""));
    std::byte* at = body.extend(base64_size(message.payload.size()));
    write_base64(message.payload, reinterpret_cast<char*>(at));
    body.append(as_bytes("\"}"));
    separator = ",{\"streamName\":\"";
  }
  body.append(as_bytes("]"));
  return body;
}

std::vector<HttpHeader> raw_headers(const std::string& stream_name,
                                    const exporter::Message& message) {
  const std::string stream = header_text(stream_name);
  const std::string sequence = number(message.sequence.value());
  return {{"Content-Type", "application/octet-stream"},
          {"X-Weir-Stream", stream},
          {"X-Weir-Sequence", sequence},
          {"X-Weir-Ingest-Time", number(message.append_ms)},
          {"Idempotency-Key", stream + ":" + sequence},
          {"User-Agent", "weir/" WEIR_VERSION}};
}

std::vector<HttpHeader> batch_headers(const std::string& stream_name,
                                      std::span<const exporter::Message> messages) {
  const std::string stream = header_text(stream_name);
  const std::string first = number(messages.front().sequence.value());
  // The last number too: after a partial refusal the same first number may start another batch.
  const std::string last = number(messages.back().sequence.value());
  return {{"Content-Type", "application/json"},
          {"Idempotency-Key", stream + ":" + first + "-" + last},
          {"User-Agent", "weir/" WEIR_VERSION}};
}

}  // namespace weir::destination::http
