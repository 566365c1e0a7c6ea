// The first byte chooses the operation, the rest is an answer as a client would get it from a
// server that may be anything. What is understood survives being encoded and decoded again.

#include "protocol/codec.h"

#include <cstdlib>

using namespace weir;
using namespace weir::protocol;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void encode_again(const Response& response, ByteBuffer& out) {
  switch (response.operation) {
    case Operation::kAppendMessageResponse:
      return encode_append_response(response.request_id, response.sequence_number, out);
    case Operation::kListStreamsResponse:
      return encode_list_response(response.request_id, response.streams, out);
    case Operation::kDescribeMessageStreamResponse:
      if (response.info) return encode_describe_response(response.request_id, *response.info, out);
      break;
    case Operation::kReadMessagesResponse: {
      ReadResponseEncoder encoder(response.request_id, "s",
                                  static_cast<std::int64_t>(response.messages.size() / 2), out);
      for (const StoredMessage& message : response.messages) {
        encoder.add(message.sequence_number, message.ingest_time_ms, message.payload);
      }
      return encoder.finish();
    }
    default:
      break;
  }
  encode_status_response(response.operation, response.request_id, response.status,
                         response.error_message, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto operation = static_cast<Operation>(6 + data[0] % 12);
  const Bytes payload = std::as_bytes(std::span(data, size).subspan(1));
  (void)decode_connect_response(payload);
  const auto response = decode_response(operation, payload);
  if (!response) return 0;
  ByteBuffer out;
  encode_again(*response, out);
  const FrameView view = split_frame(out.bytes());
  require(view.kind == FrameView::Kind::kFrame);
  const auto again = decode_response(operation, view.frame.payload);
  require(again.has_value());
  require(again->request_id == response->request_id);
  if (operation != Operation::kReadMessagesResponse) return 0;
  require(again->messages.size() == response->messages.size());
  for (std::size_t i = 0; i < again->messages.size(); ++i) {
    require(again->messages[i].payload == response->messages[i].payload);
  }
  return 0;
}
