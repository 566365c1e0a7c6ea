#include "destination/iot_analytics/request.h"

#include "base/log.h"
#include "destination/aws_error.h"
#include "destination/base64.h"
#include "destination/json_reader.h"
#include "destination/json_text.h"

#include <utility>

namespace weir::destination::iot_analytics {
namespace {

using exporter::FailureClass;
using exporter::RecordOutcome;
using exporter::Verdict;

Error not_analytics() {
  return {Errc::kCorrupt,
          "the answer is not one of IoT Analytics; is there a proxy or a captive portal on the "
          "way?"};
}

bool read_failed(JsonReader& in, FailedMessage& message) {
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    bool was_text = false;
    if (in.name() == "messageId") {
      in.text_or_skip(message.id, was_text);
    } else if (in.name() == "errorCode") {
      in.text_or_skip(message.code, was_text);
    } else if (in.name() == "errorMessage") {
      in.text_or_skip(message.text, was_text);
    } else {
      in.skip();
    }
  }
  return in.ok() && !message.id.empty();
}

}  // namespace

ByteBuffer batch_put_body(std::string_view channel, std::span<const AnalyticsMessage> messages) {
  std::size_t bytes_max = 64 + json_text_bytes_max(channel.size());
  for (const AnalyticsMessage& message : messages) {
    bytes_max += json_text_bytes_max(message.id.size()) + base64_size(message.payload.size()) + 32;
  }
  ByteBuffer body;
  body.reserve(bytes_max);
  body.append(as_bytes("{\"channelName\":\""));
  append_json_text(body, channel);
  body.append(as_bytes("\",\"messages\":["));
  const char* separator = "{\"messageId\":\"";
  for (const AnalyticsMessage& message : messages) {
    body.append(as_bytes(separator));
    append_json_text(body, message.id);
    body.append(as_bytes("\",\"payload\":\""));
    std::byte* at = body.extend(base64_size(message.payload.size()));
    write_base64(message.payload, reinterpret_cast<char*>(at));
    body.append(as_bytes("\"}"));
    separator = ",{\"messageId\":\"";
  }
  body.append(as_bytes("]}"));
  return body;
}

Result<std::vector<FailedMessage>> read_batch_put(std::string_view body) {
  JsonReader in(body);
  std::vector<FailedMessage> failed;
  bool has_list = false;
  in.enter_object();
  while (in.next_member()) {
    if (in.name() != "batchPutMessageErrorEntries" || in.kind() != '[') {
      in.skip();
      continue;
    }
    if (std::exchange(has_list, true)) return fail(not_analytics());
    in.enter_array();
    while (in.next_element()) {
      FailedMessage message;
      if (!read_failed(in, message)) return fail(not_analytics());
      failed.push_back(std::move(message));
    }
  }
  if (!in.done() || !has_list) return fail(not_analytics());
  return failed;
}

RecordOutcome outcome_of(const FailedMessage& message) {
  FailureClass failure = classify_aws_code(message.code, message.text);
  if (failure == FailureClass::kNone) failure = FailureClass::kBug;  // kept until somebody looks
  const Verdict verdict = failure == FailureClass::kPoison ? Verdict::kRejected : Verdict::kRetry;
  return {verdict, failure, log::escaped(message.code + ": " + message.text)};
}

}  // namespace weir::destination::iot_analytics
