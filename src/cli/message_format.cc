#include "cli/message_format.h"

#include "cli/text.h"
#include "protocol/cbor.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

std::string field_text(char field, const protocol::StoredMessage& message) {
  switch (field) {
    case 's':
      return std::to_string(message.sequence_number);
    case 't':
      return std::to_string(message.ingest_time_ms);
    case 'T':
      return iso_time(message.ingest_time_ms);
    case 'n':
      return message.stream_name;
    case 'b':
      return base64(as_text(message.payload));
    case 'l':
      return std::to_string(message.payload.size());
    default:
      return std::string(as_text(message.payload));
  }
}

std::string json_text(const protocol::StoredMessage& message) {
  nlohmann::ordered_json document = {{"streamName", message.stream_name},
                                     {"sequenceNumber", message.sequence_number},
                                     {"ingestTime", message.ingest_time_ms}};
  const std::string_view payload = as_text(message.payload);
  if (protocol::cbor::valid_utf8(payload)) {
    document["payload"] = payload;
  } else {
    document["payloadBase64"] = base64(payload);
  }
  return document.dump() + "\n";
}

}  // namespace

Result<MessageFormat> MessageFormat::from_template(std::string_view text,
                                                   const std::string& delimiter) {
  const auto unescaped = parse_escapes(text);
  if (!unescaped) {
    return fail(Errc::kInvalidArgument,
                "--format: after a backslash come n, t, r, 0, xHH or another backslash");
  }
  MessageFormat format;
  std::string plain;
  const auto end_plain = [&] {
    if (!plain.empty()) format.parts_.push_back({0, std::move(plain)});
    plain.clear();
  };
  for (std::size_t i = 0; i < unescaped->size(); ++i) {
    const char c = (*unescaped)[i];
    if (c != '%') {
      plain += c;
      continue;
    }
    const char field = i + 1 < unescaped->size() ? (*unescaped)[++i] : '\0';
    if (field == '%') {
      plain += '%';
    } else if (field != '\0' && std::string_view("pstTnbl").find(field) != std::string_view::npos) {
      end_plain();
      format.parts_.push_back({field, {}});
    } else {
      return fail(Errc::kInvalidArgument,
                  "--format: after % come p (payload), s (sequence number), t or T (time), n "
                  "(stream), b (base64), l (length) or another %");
    }
  }
  plain += delimiter;
  end_plain();
  return format;
}

MessageFormat MessageFormat::json_lines() {
  MessageFormat format;
  format.json_ = true;
  return format;
}

std::string MessageFormat::text_of(const protocol::StoredMessage& message) const {
  if (json_) return json_text(message);
  std::string text;
  for (const Part& part : parts_) {
    text += part.field == 0 ? part.text : field_text(part.field, message);
  }
  return text;
}

}  // namespace weir::cli
