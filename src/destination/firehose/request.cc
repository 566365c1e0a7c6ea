#include "destination/firehose/request.h"

#include "destination/base64.h"
#include "destination/json_reader.h"
#include "destination/json_text.h"

#include <utility>

namespace weir::destination::firehose {
namespace {

using exporter::FailureClass;

void append_data(ByteBuffer& body, Bytes data) {
  body.append(as_bytes("\"Data\":\""));
  std::byte* at = body.extend(base64_size(data.size()));
  write_base64(data, reinterpret_cast<char*>(at));
  body.append(as_bytes("\""));
}

void append_stream(ByteBuffer& body, std::string_view stream) {
  body.append(as_bytes("{\"DeliveryStreamName\":\""));
  append_json_text(body, stream);
  body.append(as_bytes("\","));
}

Error not_firehose() {
  return {Errc::kCorrupt,
          "the answer is not one of Firehose; is there a proxy or a captive portal on the way?"};
}

// One result of PutRecordBatch.
bool read_result(JsonReader& in, FailedRecord& failed, bool& has_code) {
  has_code = false;
  bool has_id = false;
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "ErrorCode") {
      in.text_or_skip(failed.code, was_text);
      has_code = has_code || was_text;
    } else if (in.name() == "ErrorMessage") {
      in.text_or_skip(failed.message, was_text);
    } else if (in.name() == "RecordId") {
      has_id = has_id || in.kind() == '"';
      in.skip();
    } else {
      in.skip();
    }
  }
  return in.ok() && (has_code || has_id);
}

}  // namespace

ByteBuffer put_record_batch_body(std::string_view stream, std::span<const Bytes> records) {
  std::size_t bytes_max = 64 + json_text_bytes_max(stream.size());
  for (const Bytes& record : records) bytes_max += base64_size(record.size()) + 16;
  ByteBuffer body;
  body.reserve(bytes_max);
  append_stream(body, stream);
  body.append(as_bytes("\"Records\":["));
  const char* separator = "{";
  for (const Bytes& record : records) {
    body.append(as_bytes(separator));
    append_data(body, record);
    body.append(as_bytes("}"));
    separator = ",{";
  }
  body.append(as_bytes("]}"));
  return body;
}

ByteBuffer put_record_body(std::string_view stream, Bytes record) {
  ByteBuffer body;
  body.reserve(80 + json_text_bytes_max(stream.size()) + base64_size(record.size()));
  append_stream(body, stream);
  body.append(as_bytes("\"Record\":{"));
  append_data(body, record);
  body.append(as_bytes("}}"));
  return body;
}

Result<std::vector<FailedRecord>> read_put_record_batch(std::string_view body,
                                                        std::size_t record_count) {
  JsonReader in(body);
  std::vector<FailedRecord> failed;
  std::size_t results = 0;
  bool has_results = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() != "RequestResponses" || in.kind() != '[') {
      in.skip();
      continue;
    }
    if (std::exchange(has_results, true)) return fail(not_firehose());
    in.enter_array();
    while (in.next_element()) {
      FailedRecord record;
      bool has_code = false;
      if (!read_result(in, record, has_code)) return fail(not_firehose());
      record.index = results++;
      if (has_code) failed.push_back(std::move(record));
    }
  }
  if (!in.done() || !has_results) return fail(not_firehose());
  if (results != record_count) {
    return fail(Errc::kCorrupt, "the answer has " + std::to_string(results) + " results for " +
                                    std::to_string(record_count) + " records");
  }
  return failed;
}

Result<void> read_put_record(std::string_view body) {
  JsonReader in(body);
  bool has_id = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() == "RecordId") has_id = has_id || in.kind() == '"';
    in.skip();
  }
  if (!in.done() || !has_id) return fail(not_firehose());
  return {};
}

FailureClass classify(std::string_view code, std::string_view message) {
  // "Slow down" and "down" share this code here.
  if (code == "ServiceUnavailableException") return FailureClass::kThrottle;
  if (code == "InvalidKMSResourceException" || code == "InvalidSourceException") {
    return FailureClass::kOperator;
  }
  return classify_aws_code(code, message);
}

AwsError read_error(const HttpResponse& response) {
  AwsError error = read_aws_error(response);
  const FailureClass own = classify(error.code, error.message);
  if (own != FailureClass::kNone && own != classify_aws_code(error.code, error.message)) {
    error.failure = own;
  }
  return error;
}

}  // namespace weir::destination::firehose
