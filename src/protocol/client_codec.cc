#include "protocol/cbor.h"
#include "protocol/codec.h"
#include "protocol/definition_codec.h"
#include "protocol/fields.h"
#include "protocol/frame_writer.h"

namespace weir::protocol {
namespace {

using cbor::MapWriter;
using std::string_view;

constexpr Path kRoot{};
constexpr std::int64_t kStatusLast = static_cast<std::int64_t>(Status::kUnknownOperation);

// ---- requests -------------------------------------------------------------------------------

void put_fields(MapWriter& map, ByteBuffer& out, const CreateRequest& request) {
  map.key("definition");
  put_definition(out, request.definition, EmptyLists::kLeaveOut);
}
void put_fields(MapWriter& map, ByteBuffer& out, const UpdateRequest& request) {
  map.key("definition");
  put_definition(out, request.definition, EmptyLists::kLeaveOut);
}
void put_fields(MapWriter& map, ByteBuffer&, const DeleteRequest& request) {
  map.text("name", request.name);
}
void put_fields(MapWriter& map, ByteBuffer&, const DescribeRequest& request) {
  map.text("name", request.name);
}
void put_fields(MapWriter&, ByteBuffer&, const ListRequest&) {}
void put_fields(MapWriter& map, ByteBuffer& out, const AppendRequest& request) {
  map.text("name", request.name);
  map.key("payload");
  cbor::put_bytes(out, request.payload);
}
void put_fields(MapWriter& map, ByteBuffer& out, const ReadRequest& request) {
  map.text("streamName", request.stream_name);
  const bool all_defaults = request.desired_start == 0 && request.count_min == 1 &&
                            request.count_max == 1 && request.timeout_ms == 0;
  if (all_defaults) return;
  map.key("readMessagesOptions");
  MapWriter options(out);
  options.integer("desiredStartSequenceNumber", request.desired_start);
  options.integer("minMessageCount", request.count_min);
  options.integer("maxMessageCount", request.count_max);
  options.integer("readTimeoutMillis", request.timeout_ms);
  options.close();
}

Operation operation_of(const CreateRequest&) { return Operation::kCreateMessageStream; }
Operation operation_of(const UpdateRequest&) { return Operation::kUpdateMessageStream; }
Operation operation_of(const DeleteRequest&) { return Operation::kDeleteMessageStream; }
Operation operation_of(const DescribeRequest&) { return Operation::kDescribeMessageStream; }
Operation operation_of(const ListRequest&) { return Operation::kListStreams; }
Operation operation_of(const AppendRequest&) { return Operation::kAppendMessage; }
Operation operation_of(const ReadRequest&) { return Operation::kReadMessages; }

// ---- responses ------------------------------------------------------------------------------

void read_text(FieldReader& fields, const Path& path, std::string& out) {
  string_view text;
  if (fields.text(path, text)) out = text;
}

void read_texts(FieldReader& fields, const Path& path, std::vector<std::string>& out) {
  fields.list(path, [&](std::int64_t i) {
    read_text(fields, Path{&path, {}, i}, out.emplace_back());
  });
}

void read_status(FieldReader& fields, const Path& path, Status& out) {
  std::int64_t value = 0;
  if (fields.enumeration(path, kStatusLast, "a known status, from 0 to 18", value)) {
    out = static_cast<Status>(value);
  }
}

StoredMessage read_message(FieldReader& fields, const Path& path) {
  static constexpr std::array<string_view, 4> kKeys = {"streamName", "sequenceNumber", "ingestTime",
                                                       "payload"};
  StoredMessage message;
  bool has_payload = false;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    Bytes payload;
    switch (i) {
      case 0:
        return read_text(fields, field, message.stream_name);
      case 1:
        fields.integer(field, message.sequence_number);
        return;
      case 2:
        fields.integer(field, message.ingest_time_ms);
        return;
      default:
        has_payload = true;
        if (fields.bytes(field, payload)) message.payload.assign(payload.begin(), payload.end());
        return;
    }
  });
  if (!has_payload) fields.missing(Path{&path, kKeys[3]});
  return message;
}

model::StorageStatus read_storage_status(FieldReader& fields, const Path& path) {
  static constexpr std::array<string_view, 3> kKeys = {"oldestSequenceNumber",
                                                       "newestSequenceNumber", "totalBytes"};
  model::StorageStatus status;
  fields.map(path, kKeys, [&](std::size_t i) {
    std::int64_t& out = i == 0   ? status.oldest_sequence_number
                        : i == 1 ? status.newest_sequence_number
                                 : status.total_bytes;
    fields.integer(Path{&path, kKeys.at(i)}, out);
  });
  return status;
}

model::ExportStatus read_export_status(FieldReader& fields, const Path& path) {
  static constexpr std::array<string_view, 6> kKeys = {
      "exportConfigIdentifier", "lastExportedSequenceNumber", "lastExportTime",
      "errorMessage",           "exportedBytesFromStream",    "exportedMessagesCount"};
  model::ExportStatus status;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    switch (i) {
      case 0:
        return read_text(fields, field, status.export_config_identifier);
      case 1:
        fields.integer(field, status.last_exported_sequence_number);
        return;
      case 2:
        fields.integer(field, status.last_export_time_ms);
        return;
      case 3:
        return read_text(fields, field, status.error_message);
      case 4:
        fields.integer(field, status.exported_bytes_from_stream);
        return;
      default:
        fields.integer(field, status.exported_messages_count);
        return;
    }
  });
  return status;
}

model::StreamInfo read_info(FieldReader& fields, const Path& path) {
  static constexpr std::array<string_view, 3> kKeys = {"definition", "storageStatus",
                                                       "exportStatuses"};
  model::StreamInfo info;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    if (i == 0) return read_definition(fields, field, info.definition);
    if (i == 1) {
      info.storage_status = read_storage_status(fields, field);
      return;
    }
    fields.list(field, [&](std::int64_t index) {
      info.export_statuses.push_back(read_export_status(fields, Path{&field, {}, index}));
    });
  });
  return info;
}

void read_response_field(FieldReader& fields, const Path& path, std::size_t key, Response& out) {
  switch (key) {
    case 0:
      return read_text(fields, path, out.request_id);
    case 1:
      return read_status(fields, path, out.status);
    case 2:
      return read_text(fields, path, out.error_message);
    case 3:
      fields.integer(path, out.sequence_number);
      return;
    case 4:
      return fields.list(path, [&](std::int64_t i) {
        out.messages.push_back(read_message(fields, Path{&path, {}, i}));
      });
    case 5:
      return read_texts(fields, path, out.streams);
    default:
      out.info = read_info(fields, path);
      return;
  }
}

tl::unexpected<Error> bad_answer(string_view why) {
  return fail(Errc::kCorrupt, std::string("the server's answer is not valid: ").append(why));
}

/// Answers may hold any number of messages: the limits on requests do not apply to them, only
/// well-formedness, item by item.
bool is_sound_map(Bytes payload, string_view& why) {
  const cbor::Verdict verdict = cbor::check(payload, cbor::kAnyNumberOfItems);
  why = cbor::verdict_text(verdict);
  if (verdict != cbor::Verdict::kSound) return false;
  why = "not a CBOR map";
  return cbor::Reader(payload).peek().kind == cbor::Kind::kMap;
}

}  // namespace

void encode_connect(const ConnectRequest& request, ByteBuffer& out) {
  FrameWriter frame(Operation::kConnect, out);
  MapWriter map(out);
  map.text("requestId", request.request_id);
  if (request.protocol_version) map.text("protocolVersion", *request.protocol_version);
  if (!request.other_supported_protocol_versions.empty()) {
    map.key("otherSupportedProtocolVersions");
    cbor::put_head(out, cbor::kMajorArray, request.other_supported_protocol_versions.size());
    for (const std::string& version : request.other_supported_protocol_versions) {
      cbor::put_text(out, version);
    }
  }
  map.text("sdkVersion", request.sdk_version);
  if (!request.auth_token.empty()) map.text("authToken", request.auth_token);
  map.close();
  frame.close();
}

void encode_request(const Request& request, ByteBuffer& out) {
  std::visit(
      [&](const auto& typed) {
        FrameWriter frame(operation_of(typed), out);
        MapWriter map(out);
        map.text("requestId", typed.request_id);
        put_fields(map, out, typed);
        map.close();
        frame.close();
      },
      request);
}

Result<ConnectResponse> decode_connect_response(Bytes payload) {
  static constexpr std::array<string_view, 7> kKeys = {
      "requestId",       "status",        "errorMessage",
      "protocolVersion", "serverVersion", "supportedProtocolVersions",
      "clientIdentifier"};
  string_view why;
  if (!is_sound_map(payload, why)) return bad_answer(why);
  DecodeScratch scratch;
  FieldReader fields(payload, scratch);
  ConnectResponse response;
  bool has_status = false;
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    const Path field{nullptr, kKeys.at(i)};
    const std::array<std::string*, 7> texts = {
        &response.request_id,     nullptr, &response.error_message,    &response.protocol_version,
        &response.server_version, nullptr, &response.client_identifier};
    if (i == 1) {
      has_status = true;
      return read_status(fields, field, response.status);
    }
    if (i == 5) return read_texts(fields, field, response.supported_protocol_versions);
    read_text(fields, field, *texts.at(i));
  });
  if (!has_status) fields.missing(Path{nullptr, kKeys[1]});
  if (!fields.violations.empty()) return bad_answer(fields.violations.text());
  return response;
}

Result<Response> decode_response(Operation operation, Bytes payload) {
  static constexpr std::array<string_view, 7> kKeys = {
      "requestId", "status",  "errorMessage",     "sequenceNumber",
      "messages",  "streams", "messageStreamInfo"};
  string_view why;
  if (!is_sound_map(payload, why)) return bad_answer(why);
  DecodeScratch scratch;
  FieldReader fields(payload, scratch);
  Response response;
  response.operation = operation;
  bool has_status = false;
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    has_status = has_status || i == 1;
    read_response_field(fields, Path{nullptr, kKeys.at(i)}, i, response);
  });
  if (!has_status) fields.missing(Path{nullptr, kKeys[1]});
  if (!fields.violations.empty()) return bad_answer(fields.violations.text());
  return response;
}

}  // namespace weir::protocol
