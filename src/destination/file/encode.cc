#include "destination/file/encode.h"

#include "destination/compression.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::destination::file_export {
namespace {

constexpr std::size_t kFrameHeadBytes = 4;

// Returns true when the message had to be changed in a way that is not only layout.
bool append_line(ByteBuffer& to, Bytes payload) {
  if (!payload.empty() && payload.back() == std::byte{'\n'})
    payload = payload.first(payload.size() - 1);
  const std::string_view text = as_text(payload);
  bool changed = false;
  if (text.find('\n') == std::string_view::npos) {
    to.append(payload);
  } else if (nlohmann::json::accept(text.begin(), text.end())) {
    auto* at = to.extend(payload.size());
    std::replace_copy(payload.begin(), payload.end(), at, std::byte{'\n'}, std::byte{' '});
  } else {
    changed = true;
    for (const char c : text) to.append(as_bytes(c == '\n' ? "\\n" : std::string_view(&c, 1)));
  }
  to.append(std::byte{'\n'});
  return changed;
}

void append_frame(ByteBuffer& to, Bytes payload) {
  store_big32(to.extend(kFrameHeadBytes), static_cast<std::uint32_t>(payload.size()));
  to.append(payload);
}

}  // namespace

Result<EncodedBatch> encode(const exporter::Batch& batch, const FileOptions& options) {
  EncodedBatch encoded;
  encoded.bytes.reserve(batch.payload_bytes() + batch.size() * kFrameHeadBytes);
  for (const exporter::Message& message : batch.messages()) {
    if (options.format == FileOptions::Format::kLength) {
      append_frame(encoded.bytes, message.payload);
    } else if (append_line(encoded.bytes, message.payload)) {
      ++encoded.escaped_messages;
    }
  }
  if (options.compression != Compression::kNone) {
    WEIR_TRY(encoded.bytes, compressed(encoded.bytes.bytes(), options.compression));
  }
  return encoded;
}

}  // namespace weir::destination::file_export
