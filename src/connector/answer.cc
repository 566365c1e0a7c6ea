#include "connector/answer.h"

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "destination/json_text.h"

#include <string_view>

namespace weir::connector {
namespace {

void add(ByteBuffer& to, std::string_view text) { to.append(as_bytes(text)); }

void add_text(ByteBuffer& to, std::string_view name, std::string_view value) {
  add(to, name);
  destination::append_json_text(to, value);
}

// Keys in the order of the documented examples.
void add_entry(ByteBuffer& to, const Answer& answer) {
  if (answer.code.empty()) {
    add_text(to, "{\"firehose_record_id\":\"", answer.record_id);
  } else {
    add_text(to, "{\"ErrorCode\":\"", answer.code);
    add_text(to, "\",\"ErrorMessage\":\"", answer.message);
  }
  add_text(to, "\",\"id\":\"", answer.id);
  add(to, answer.code.empty() ? "\",\"status\":\"success\"}" : "\",\"status\":\"fail\"}");
}

std::string single(const Answer& answer) {
  ByteBuffer to;
  if (answer.code.empty()) {
    add_text(to, "{\"response\":{\"firehose_record_id\":\"", answer.record_id);
    add(to, "\",\"status\":\"success\"}");
  } else {
    add_text(to, "{\"response\":{\"error\":\"", answer.code);
    add_text(to, "\",\"error_message\":\"", answer.message);
    add(to, "\",\"status\":\"fail\"}");
  }
  add_text(to, ",\"id\":\"", answer.id);
  add(to, "\"}");
  return std::string(as_text(to.bytes()));
}

}  // namespace

std::vector<std::string> status_messages(std::span<const Answer> answers, int version,
                                         std::size_t bytes_max) {
  std::vector<std::string> messages;
  if (version == 1) {
    for (const Answer& answer : answers) messages.push_back(single(answer));
    return messages;
  }
  constexpr std::string_view kHead = "{\"response\":[";
  constexpr std::string_view kTail = "]}";
  ByteBuffer message;
  ByteBuffer entry;
  const auto close = [&] {
    if (message.empty()) return;
    add(message, kTail);
    messages.emplace_back(as_text(message.bytes()));
    message.clear();
  };
  for (const Answer& answer : answers) {
    entry.clear();
    add_entry(entry, answer);
    if (message.size() + entry.size() + 1 + kTail.size() > bytes_max) close();
    add(message, message.empty() ? kHead : ",");
    message.append(entry.bytes());
  }
  close();
  return messages;
}

}  // namespace weir::connector
