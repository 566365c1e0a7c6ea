#include "destination/kinesis/request.h"

#include "destination/base64.h"
#include "destination/json_text.h"

namespace weir::destination::kinesis {
namespace {

void append_members(ByteBuffer& body, const Record& record) {
  body.append(as_bytes("\"Data\":\""));
  std::byte* at = body.extend(base64_size(record.data.size()));
  write_base64(record.data, reinterpret_cast<char*>(at));
  body.append(as_bytes("\",\"PartitionKey\":\""));
  append_json_text(body, record.key);
  body.append(as_bytes("\""));
}

std::size_t members_bytes_max(const Record& record) {
  return base64_size(record.data.size()) + json_text_bytes_max(record.key.size()) + 40;
}

}  // namespace

void put_records_body(std::string_view stream, std::span<const Record> records, ByteBuffer& body) {
  std::size_t bytes_max = 64 + json_text_bytes_max(stream.size());
  for (const Record& record : records) bytes_max += members_bytes_max(record);
  body.reserve(body.size() + bytes_max);
  body.append(as_bytes("{\"StreamName\":\""));
  append_json_text(body, stream);
  body.append(as_bytes("\",\"Records\":["));
  const char* separator = "{";
  for (const Record& record : records) {
    body.append(as_bytes(separator));
    append_members(body, record);
    body.append(as_bytes("}"));
    separator = ",{";
  }
  body.append(as_bytes("]}"));
}

ByteBuffer put_record_body(std::string_view stream, const Record& record, std::string_view after) {
  ByteBuffer body;
  body.reserve(128 + json_text_bytes_max(stream.size() + after.size()) + members_bytes_max(record));
  body.append(as_bytes("{\"StreamName\":\""));
  append_json_text(body, stream);
  body.append(as_bytes("\","));
  append_members(body, record);
  if (!after.empty()) {
    body.append(as_bytes(",\"SequenceNumberForOrdering\":\""));
    append_json_text(body, after);
    body.append(as_bytes("\""));
  }
  body.append(as_bytes("}"));
  return body;
}

}  // namespace weir::destination::kinesis
