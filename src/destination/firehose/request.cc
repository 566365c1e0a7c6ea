#include "destination/firehose/request.h"

#include "destination/base64.h"
#include "destination/json_reader.h"
#include "destination/json_text.h"

#include <algorithm>
#include <array>

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

constexpr RecordResults kResults = {"RequestResponses", "RecordId", "Firehose"};

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
  return read_record_results(body, kResults, record_count);
}

Result<void> read_put_record(std::string_view body) {
  JsonReader in(body);
  bool has_id = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() == "RecordId") has_id = has_id || in.kind() == '"';
    in.skip();
  }
  if (!in.done() || !has_id) return fail(no_answer_of(kResults.service));
  return {};
}

std::vector<std::string> read_record_ids(std::string_view body, std::size_t record_count) {
  std::vector<std::string> ids(record_count);
  JsonReader in(body);
  std::size_t at = 0;
  const auto read_result = [&] {
    if (!in.enter_object()) return;
    while (in.next_member()) {
      bool was_text = false;
      if (in.name() == kResults.success && at < ids.size()) {
        in.text_or_skip(ids[at], was_text);
      } else {
        in.skip();
      }
    }
  };
  in.enter_object();
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == kResults.list && in.enter_array()) {
      for (; in.next_element(); ++at) read_result();
    } else if (in.name() == kResults.success && at < ids.size()) {
      in.text_or_skip(ids[at], was_text);
    } else {
      in.skip();
    }
  }
  return ids;
}

bool blames_the_stream(std::string_view code, std::string_view message) {
  if (code == "InvalidSourceException") return true;
  if (code != "InvalidArgumentException" && code != "ValidationException") return false;
  // "This operation is not permitted on KinesisStreamAsSource delivery stream type."; "Value ... at
  // 'deliveryStreamName' failed to satisfy constraint".
  constexpr std::array<std::string_view, 4> kOfTheStream = {
      "KinesisStreamAsSource", "delivery stream type", "is not permitted", "'deliveryStreamName'"};
  return std::any_of(kOfTheStream.begin(), kOfTheStream.end(), [message](std::string_view words) {
    return message.find(words) != std::string_view::npos;
  });
}

FailureClass classify(std::string_view code, std::string_view message) {
  // "Slow down" and "down" share this code here.
  if (code == "ServiceUnavailableException") return FailureClass::kThrottle;
  if (code == "InvalidKMSResourceException" || blames_the_stream(code, message)) {
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
