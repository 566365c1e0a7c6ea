#include "protocol/codec.h"
#include "protocol/definition_codec.h"
#include "protocol/fields.h"

#include <cstring>
#include <limits>

namespace weir::protocol {
namespace {

using std::string_view;
using Kind = DecodeFailure::Kind;

constexpr Path kRoot{};
constexpr std::int64_t kCountMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kTimeoutMax = 9'223'372'036'854;

tl::unexpected<DecodeFailure> malformed(std::string reason) {
  return tl::unexpected(DecodeFailure{Kind::kMalformed, {}, std::move(reason)});
}

tl::unexpected<DecodeFailure> invalid(string_view request_id, const Violations& violations) {
  return tl::unexpected(DecodeFailure{Kind::kInvalid, std::string(request_id), violations.text()});
}

const char* request_id_violation(string_view id) {
  if (id.empty()) return "requestId: must not be empty";
  if (id.size() > kRequestIdBytesMax) return "requestId: must have at most 1024 bytes";
  if (!cbor::valid_utf8(id)) return "requestId: must be valid UTF-8";
  return nullptr;
}

/// Finds the first requestId of the map at the start of `document`, which need not be whole.
/// False if there is none, or it is not text.
bool scan_request_id(Bytes document, DecodeScratch& scratch, string_view& out) {
  cbor::Reader reader(document);
  const cbor::Item map = reader.next();
  if (map.kind != cbor::Kind::kMap) return false;
  cbor::Entries entries(map);
  Bytes content;
  while (entries.more(reader)) {
    const cbor::Item key = reader.peek();
    bool found = false;
    if (key.kind == cbor::Kind::kText) {
      if (!reader.content(reader.next(), scratch, content)) return false;
      found = as_text(content) == "requestId";
    } else if (reader.skip() != cbor::Verdict::kSound) {
      return false;
    }
    if (found) {
      const cbor::Item value = reader.next();
      if (value.kind != cbor::Kind::kText || !reader.content(value, scratch, content)) return false;
      out = as_text(content);
      return true;
    }
    if (reader.skip() != cbor::Verdict::kSound) return false;
  }
  return false;
}

void check_int(FieldReader& fields, const Path& path, std::int64_t min, std::int64_t max,
               std::int64_t& out) {
  std::int64_t value = 0;
  if (!fields.integer(path, value)) return;
  if (value < min || value > max) {
    std::string reason = "must be from " + std::to_string(min) + " to " + std::to_string(max);
    if (max == std::numeric_limits<std::int64_t>::max()) {
      reason = "must be at least " + std::to_string(min);
    }
    return fields.violations.add(path, reason);
  }
  out = value;
}

void read_name(FieldReader& fields, const Path& path, string_view& out) {
  if (!fields.text(path, out)) return;
  const string_view reason = name_violation(out);
  if (!reason.empty()) fields.violations.add(path, reason);
}

/// A request of `requestId` and a name under the key `name_key`.
string_view read_named(FieldReader& fields, string_view name_key) {
  const std::array<string_view, 2> keys = {"requestId", name_key};
  string_view name;
  bool has_name = false;
  fields.map(kRoot, keys, [&](std::size_t i) {
    if (i == 0) return fields.skip();
    has_name = true;
    read_name(fields, Path{nullptr, name_key}, name);
  });
  if (!has_name) fields.missing(Path{nullptr, name_key});
  return name;
}

model::StreamDefinition read_defined(FieldReader& fields) {
  static constexpr std::array<string_view, 2> kKeys = {"requestId", "definition"};
  constexpr Path kPath{nullptr, "definition"};
  model::StreamDefinition definition;
  bool has_definition = false;
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    if (i == 0) return fields.skip();
    has_definition = true;
    read_definition(fields, kPath, definition);
  });
  if (!has_definition) fields.missing(kPath);
  note_violations(definition, kPath, fields.violations);
  return definition;
}

AppendRequest read_append(FieldReader& fields) {
  static constexpr std::array<string_view, 3> kKeys = {"requestId", "name", "payload"};
  AppendRequest request;
  bool has_name = false;
  bool has_payload = false;
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    const Path field{nullptr, kKeys.at(i)};
    if (i == 0) return fields.skip();
    if (i == 1) {
      has_name = true;
      return read_name(fields, field, request.name);
    }
    has_payload = true;
    if (fields.bytes(field, request.payload) && request.payload.empty()) {
      fields.violations.add(field, "must not be empty");
    }
  });
  if (!has_name) fields.missing(Path{nullptr, kKeys[1]});
  if (!has_payload) fields.missing(Path{nullptr, kKeys[2]});
  return request;
}

void read_read_options(FieldReader& fields, const Path& path, ReadRequest& request) {
  static constexpr std::array<string_view, 4> kKeys = {
      "desiredStartSequenceNumber", "minMessageCount", "maxMessageCount", "readTimeoutMillis"};
  std::optional<std::int64_t> count_max;
  fields.map(path, kKeys, [&](std::size_t i) {
    const Path field{&path, kKeys.at(i)};
    switch (i) {
      case 0:
        return check_int(fields, field, 0, std::numeric_limits<std::int64_t>::max(),
                         request.desired_start);
      case 1:
        return check_int(fields, field, 1, kCountMax, request.count_min);
      case 2:
        return check_int(fields, field, 1, kCountMax, count_max.emplace(kCountMax));
      default:
        return check_int(fields, field, 0, kTimeoutMax, request.timeout_ms);
    }
  });
  request.count_max = count_max.value_or(request.count_min);
  if (request.count_max < request.count_min) {
    fields.violations.add(Path{&path, kKeys[2]}, "must not be less than minMessageCount");
  }
}

ReadRequest read_read(FieldReader& fields) {
  static constexpr std::array<string_view, 3> kKeys = {"requestId", "streamName",
                                                       "readMessagesOptions"};
  ReadRequest request;
  bool has_name = false;
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    const Path field{nullptr, kKeys.at(i)};
    if (i == 0) return fields.skip();
    if (i == 1) {
      has_name = true;
      return read_name(fields, field, request.stream_name);
    }
    read_read_options(fields, field, request);
  });
  if (!has_name) fields.missing(Path{nullptr, kKeys[1]});
  return request;
}

Request read_request(Operation operation, FieldReader& fields, string_view id) {
  switch (operation) {
    case Operation::kCreateMessageStream:
      return CreateRequest{id, read_defined(fields)};
    case Operation::kUpdateMessageStream:
      return UpdateRequest{id, read_defined(fields)};
    case Operation::kDeleteMessageStream:
      return DeleteRequest{id, read_named(fields, "name")};
    case Operation::kDescribeMessageStream:
      return DescribeRequest{id, read_named(fields, "name")};
    case Operation::kAppendMessage: {
      AppendRequest request = read_append(fields);
      request.request_id = id;
      return request;
    }
    case Operation::kReadMessages: {
      ReadRequest request = read_read(fields);
      request.request_id = id;
      return request;
    }
    default: {
      static constexpr std::array<string_view, 1> kKeys = {"requestId"};
      fields.map(kRoot, kKeys, [&](std::size_t) { fields.skip(); });
      return ListRequest{id};
    }
  }
}

// ---- the hot path ---------------------------------------------------------------------------

/// Reads the bytes that every SDK sends for an append, in the order in which they send them.
/// Anything else, valid or not, is left to the general path.
class ExpectedAppend {
 public:
  ExpectedAppend(Bytes payload, std::string& valid_name)
      : at_(payload.data()), end_(payload.data() + payload.size()), valid_name_(valid_name) {}

  bool read(AppendRequest& out) {
    if (at_ == end_) return false;
    const std::byte map = *at_++;
    const bool indefinite = map == std::byte{0xbf};
    if (!indefinite && map != std::byte{0xa3}) return false;
    Bytes id;
    Bytes name;
    if (!literal("\x69requestId") || !string(0x60, id) || !literal("\x64name") ||
        !string(0x60, name) || !literal("\x67payload") || !string(0x40, out.payload)) {
      return false;
    }
    if (indefinite && (at_ == end_ || *at_++ != std::byte{0xff})) return false;
    out.request_id = as_text(id);
    out.name = as_text(name);
    return at_ == end_ && !out.payload.empty() && name_is_valid(out.name) &&
           request_id_violation(out.request_id) == nullptr;
  }

 private:
  bool name_is_valid(string_view name) {
    if (!name.empty() && name == valid_name_) return true;
    if (!name_violation(name).empty()) return false;
    valid_name_ = name;
    return true;
  }
  template <std::size_t N>
  bool literal(const char (&bytes)[N]) {
    if (static_cast<std::size_t>(end_ - at_) < N - 1) return false;
    if (std::memcmp(at_, bytes, N - 1) != 0) return false;
    at_ += N - 1;
    return true;
  }
  bool string(unsigned major_bits, Bytes& out) {
    if (at_ == end_) return false;
    const unsigned info = std::to_integer<unsigned>(*at_++) - major_bits;
    const auto left = static_cast<std::size_t>(end_ - at_);
    std::size_t length = info;
    if (info >= 24) {
      if (info > 26) return false;
      const std::size_t width = std::size_t{1} << (info - 24U);
      if (left < width) return false;
      length = width == 1   ? std::to_integer<std::size_t>(*at_)
               : width == 2 ? load_big16(at_)
                            : load_big32(at_);
      at_ += width;
    }
    if (length > static_cast<std::size_t>(end_ - at_)) return false;
    out = Bytes(at_, length);
    at_ += length;
    return true;
  }

  const std::byte* at_;
  const std::byte* end_;
  std::string& valid_name_;
};

}  // namespace

tl::expected<std::string_view, DecodeFailure> decode_request_id(Bytes payload,
                                                                DecodeScratch& scratch) {
  scratch.clear();
  const cbor::Verdict verdict = cbor::check(payload);
  if (verdict != cbor::Verdict::kSound) return malformed(cbor::verdict_text(verdict));
  if (cbor::Reader(payload).peek().kind != cbor::Kind::kMap) return malformed("not a CBOR map");
  string_view id;
  if (!scan_request_id(payload, scratch, id)) return malformed("requestId: must be text");
  if (const char* reason = request_id_violation(id)) return malformed(reason);
  return id;
}

tl::expected<AppendRequest, DecodeFailure> decode_append(Bytes payload, DecodeScratch& scratch) {
  tl::expected<AppendRequest, DecodeFailure> result;
  if (ExpectedAppend(payload, scratch.valid_name).read(*result)) [[likely]]
    return result;
  return decode_append_any(payload, scratch);
}

tl::expected<AppendRequest, DecodeFailure> decode_append_any(Bytes payload,
                                                             DecodeScratch& scratch) {
  auto id = decode_request_id(payload, scratch);
  if (!id) return tl::unexpected(std::move(id).error());
  FieldReader fields(payload, scratch);
  AppendRequest request = read_append(fields);
  if (!fields.violations.empty()) return invalid(*id, fields.violations);
  request.request_id = *id;
  return request;
}

tl::expected<Request, DecodeFailure> decode_request(Operation operation, Bytes payload,
                                                    DecodeScratch& scratch) {
  auto id = decode_request_id(payload, scratch);
  if (!id) return tl::unexpected(std::move(id).error());
  FieldReader fields(payload, scratch);
  Request request = read_request(operation, fields, *id);
  if (!fields.violations.empty()) return invalid(*id, fields.violations);
  return request;
}

tl::expected<ConnectRequest, DecodeFailure> decode_connect(Bytes payload) {
  static constexpr std::array<string_view, 5> kKeys = {
      "requestId", "protocolVersion", "otherSupportedProtocolVersions", "sdkVersion", "authToken"};
  DecodeScratch scratch;
  auto id = decode_request_id(payload, scratch);
  if (!id) {
    id.error().request_id = find_request_id(payload).value_or("");
    return tl::unexpected(std::move(id).error());
  }
  ConnectRequest request;
  request.request_id = *id;
  FieldReader fields(payload, scratch);
  fields.map(kRoot, kKeys, [&](std::size_t i) {
    const Path field{nullptr, kKeys.at(i)};
    string_view text;
    switch (i) {
      case 0:
        return fields.skip();
      case 1:
        if (fields.text(field, text)) request.protocol_version = text;
        return;
      case 2:
        return fields.list(field, [&](std::int64_t index) {
          string_view version;
          if (fields.text(Path{&field, {}, index}, version)) {
            request.other_supported_protocol_versions.emplace_back(version);
          }
        });
      case 3:
        if (fields.text(field, text)) request.sdk_version = text;
        return;
      default:
        if (fields.text(field, text)) request.auth_token = text;
        return;
    }
  });
  if (!fields.violations.empty()) return invalid(*id, fields.violations);
  return request;
}

std::optional<std::string> find_request_id(Bytes prefix) {
  DecodeScratch scratch;
  string_view id;
  if (!scan_request_id(prefix, scratch, id) || request_id_violation(id) != nullptr) {
    return std::nullopt;
  }
  return std::string(id);
}

}  // namespace weir::protocol
