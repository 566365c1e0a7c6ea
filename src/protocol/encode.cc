#include "protocol/cbor.h"
#include "protocol/codec.h"
#include "protocol/definition_codec.h"
#include "protocol/frame_writer.h"

#include <cstring>

namespace weir::protocol {
namespace {

using cbor::MapWriter;

void put_texts(ByteBuffer& out, const std::vector<std::string>& texts) {
  cbor::put_head(out, cbor::kMajorArray, texts.size());
  for (const std::string& text : texts) cbor::put_text(out, text);
}

void put_status(MapWriter& map, Status status, std::string_view error_message) {
  map.integer("status", static_cast<std::int64_t>(status));
  map.text("errorMessage", error_message);
}

void put_storage_status(ByteBuffer& out, const model::StorageStatus& status) {
  MapWriter map(out);
  map.integer("oldestSequenceNumber", status.oldest_sequence_number);
  map.integer("newestSequenceNumber", status.newest_sequence_number);
  map.integer("totalBytes", status.total_bytes);
  map.close();
}

void put_export_status(ByteBuffer& out, const model::ExportStatus& status) {
  MapWriter map(out);
  map.text("exportConfigIdentifier", status.export_config_identifier);
  map.integer("lastExportedSequenceNumber", status.last_exported_sequence_number);
  map.integer("lastExportTime", status.last_export_time_ms);
  map.text("errorMessage", status.error_message);
  map.integer("exportedBytesFromStream", status.exported_bytes_from_stream);
  map.integer("exportedMessagesCount", status.exported_messages_count);
  map.close();
}

void put_info(ByteBuffer& out, const model::StreamInfo& info) {
  MapWriter map(out);
  map.key("definition");
  put_definition(out, info.definition, EmptyLists::kWrite);
  map.key("storageStatus");
  put_storage_status(out, info.storage_status);
  map.key("exportStatuses");
  cbor::put_head(out, cbor::kMajorArray, info.export_statuses.size());
  for (const model::ExportStatus& status : info.export_statuses) put_export_status(out, status);
  map.close();
}

template <std::size_t N>
std::byte* write_literal(std::byte* to, const char (&bytes)[N]) {
  std::memcpy(to, bytes, N - 1);
  return to + N - 1;
}

}  // namespace

void encode_connect_response(const ConnectResponse& response, ByteBuffer& out) {
  FrameWriter frame(Operation::kConnectResponse, out);
  MapWriter map(out);
  map.text("requestId", response.request_id);
  put_status(map, response.status, response.error_message);
  if (!response.protocol_version.empty()) map.text("protocolVersion", response.protocol_version);
  map.key("supportedProtocolVersions");
  put_texts(out, response.supported_protocol_versions);
  map.text("serverVersion", response.server_version);
  if (!response.client_identifier.empty()) {
    map.text("clientIdentifier", response.client_identifier);
  }
  map.close();
  frame.close();
}

void encode_status_response(Operation response, std::string_view request_id, Status status,
                            std::string_view error_message, ByteBuffer& out) {
  FrameWriter frame(response, out);
  MapWriter map(out);
  map.text("requestId", request_id);
  if (response == Operation::kReadMessagesResponse) {
    map.key("messages");
    cbor::put_head(out, cbor::kMajorArray, 0);
  }
  put_status(map, status, error_message);
  map.close();
  frame.close();
}

void encode_append_response(std::string_view request_id, std::int64_t sequence_number,
                            ByteBuffer& out) {
  // One pass over memory reserved for the longest form: this runs once per message.
  constexpr std::size_t kFixedBytesMax = 80;
  const std::size_t begin = out.size();
  std::byte* const frame = out.extend(kFixedBytesMax + request_id.size());
  frame[4] = static_cast<std::byte>(Operation::kAppendMessageResponse);
  std::byte* at = write_literal(frame + kFrameHeadBytes, "\xa4\x69requestId");
  at = cbor::write_head(at, cbor::kMajorText, request_id.size());
  std::memcpy(at, request_id.data(), request_id.size());
  at = write_literal(at + request_id.size(),
                     "\x66status\x00\x6c"
                     "errorMessage\x60\x6esequenceNumber");
  at = cbor::write_integer(at, sequence_number);
  const auto bytes = static_cast<std::size_t>(at - frame);
  store_big32(frame, static_cast<std::uint32_t>(bytes - sizeof(std::uint32_t)));
  out.truncate(begin + bytes);
}

void encode_list_response(std::string_view request_id, const std::vector<std::string>& names,
                          ByteBuffer& out) {
  FrameWriter frame(Operation::kListStreamsResponse, out);
  MapWriter map(out);
  map.text("requestId", request_id);
  put_status(map, Status::kSuccess, {});
  map.key("streams");
  put_texts(out, names);
  map.close();
  frame.close();
}

void encode_describe_response(std::string_view request_id, const model::StreamInfo& info,
                              ByteBuffer& out) {
  FrameWriter frame(Operation::kDescribeMessageStreamResponse, out);
  MapWriter map(out);
  map.text("requestId", request_id);
  put_status(map, Status::kSuccess, {});
  map.key("messageStreamInfo");
  put_info(out, info);
  map.close();
  frame.close();
}

}  // namespace weir::protocol
