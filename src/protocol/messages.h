#pragma once

#include "base/bytes.h"
#include "model/definition.h"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The messages of the stream manager protocol as plain structs (protocol.md §1.3, §3).
namespace weir::protocol {

inline constexpr std::byte kConnectVersion{1};
inline constexpr std::uint32_t kFrameLengthMax = 1U << 30U;  ///< operation byte and payload
inline constexpr std::size_t kFrameHeadBytes = 5;            ///< length and operation
inline constexpr std::size_t kRequestIdBytesMax = 1024;
inline constexpr std::size_t kUnauthenticatedFrameBytesMax = 64 * 1024;
inline constexpr int kNestingMax = 16;
inline constexpr std::uint64_t kItemsMax = 65'536;

enum class Operation : std::uint8_t {
  kUnknown = 0,
  kConnect = 1,
  kCreateMessageStream = 2,
  kDeleteMessageStream = 3,
  kAppendMessage = 4,
  kReadMessages = 5,
  kConnectResponse = 6,
  kCreateMessageStreamResponse = 7,
  kDeleteMessageStreamResponse = 8,
  kAppendMessageResponse = 9,
  kReadMessagesResponse = 10,
  kListStreams = 11,
  kListStreamsResponse = 12,
  kDescribeMessageStream = 13,
  kDescribeMessageStreamResponse = 14,
  kUpdateMessageStream = 15,
  kUpdateMessageStreamResponse = 16,
  kUnknownOperationError = 17,
};

/// The response operation that answers `request`; `kUnknownOperationError` if it is no request.
Operation response_of(Operation request);

enum class Status : std::uint8_t {
  kSuccess = 0,
  kUnknownFailure = 1,
  kUnauthorized = 2,
  kInvalidRequest = 3,
  kRequestPayloadTooLarge = 4,
  kResourceNotFound = 5,
  kServerTimeout = 6,
  kResponsePayloadTooLarge = 7,
  kUnsupportedConnectVersion = 8,
  kUnexpectedOperation = 9,
  kUnsupportedProtocolVersion = 10,
  kInvalidProtocolVersion = 11,
  kFailedToConnect = 12,
  kNotEnoughMessages = 13,
  kMessageStoreReadError = 14,
  kOutOfMemory = 15,
  kUpdateFailed = 16,
  kUpdateNotAllowed = 17,
  kUnknownOperation = 18,
};
const char* status_name(Status status);

/// Error texts that programs in the field compare (protocol.md §2.2): verbatim, for ever.
inline constexpr std::string_view kTextStreamExists = "the message stream already exists";
inline constexpr std::string_view kTextNotEnoughMessages =
    "not enough messages to return before time out";
inline constexpr std::string_view kTextNoSuchStream = "the requested message stream does not exist";
inline constexpr std::string_view kTextStreamFull = "the message stream is full";
inline constexpr std::string_view kTextPersistence = "persistence cannot be updated";

/// Protocol version agreed on a connection.
enum class Version : std::uint8_t { k1_0_0, k1_1_0 };
std::string_view version_text(Version version);

/// What a 1.0.0 client may be sent in place of `status` (protocol.md §1.6).
Status status_for(Version version, Status status);

struct ConnectRequest {
  std::string request_id;
  std::optional<std::string> protocol_version;
  std::vector<std::string> other_supported_protocol_versions;
  std::string sdk_version;
  std::string auth_token;  ///< empty = none (absent and "" are alike)
};

struct ConnectResponse {
  std::string request_id;
  Status status = Status::kSuccess;
  std::string error_message;
  std::string protocol_version;  ///< empty: left out
  std::vector<std::string> supported_protocol_versions;
  std::string server_version;
  std::string client_identifier;  ///< empty: left out
};

/// Requests hold views into the frame they were decoded from (or into the decoder's scratch, for
/// text that arrived in chunks).
struct CreateRequest {
  std::string_view request_id;
  model::StreamDefinition definition;
};
struct UpdateRequest {
  std::string_view request_id;
  model::StreamDefinition definition;
};
struct DeleteRequest {
  std::string_view request_id;
  std::string_view name;
};
struct AppendRequest {
  std::string_view request_id;
  std::string_view name;
  Bytes payload;
};
struct ReadRequest {
  std::string_view request_id;
  std::string_view stream_name;
  std::int64_t desired_start = 0;
  std::int64_t count_min = 1;
  std::int64_t count_max = 1;  ///< absent on the wire: equal to count_min (U-9)
  std::int64_t timeout_ms = 0;
};
struct ListRequest {
  std::string_view request_id;
};
struct DescribeRequest {
  std::string_view request_id;
  std::string_view name;
};
using Request = std::variant<CreateRequest, UpdateRequest, DeleteRequest, AppendRequest,
                             ReadRequest, ListRequest, DescribeRequest>;

/// Why a request could not be decoded.
struct DecodeFailure {
  enum class Kind : std::uint8_t {
    kMalformed,  ///< no CBOR map, trailing bytes, no requestId, a limit exceeded: close
    kInvalid,    ///< answer InvalidRequest (3) under `request_id`
  };
  Kind kind = Kind::kMalformed;
  std::string request_id;
  std::string reason;  ///< "<path>: <reason>", several joined by "; "
};

/// Owns what a decoded request cannot view in place: chunked text and payloads, joined. Reused
/// from request to request; decoding again invalidates the views of the request before.
class DecodeScratch {
 public:
  void clear() { joined_.clear(); }
  /// Whether a view of what was decoded last may point in here.
  [[nodiscard]] bool used() const { return !joined_.empty(); }
  std::string& add() { return joined_.emplace_back(); }

  /// The stream name that was found to be valid last, "" at first: the next request probably has
  /// it too.
  std::string valid_name;

 private:
  std::deque<std::string> joined_;
};

/// A response as a client sees it; used by the command line and by tests.
struct StoredMessage {
  std::string stream_name;
  std::int64_t sequence_number = 0;
  std::int64_t ingest_time_ms = 0;
  ByteVector payload;
  friend bool operator==(const StoredMessage&, const StoredMessage&) = default;
};
struct Response {
  Operation operation = Operation::kUnknown;
  std::string request_id;
  Status status = Status::kSuccess;
  std::string error_message;
  std::int64_t sequence_number = -1;      ///< append
  std::vector<StoredMessage> messages;    ///< read
  std::vector<std::string> streams;       ///< list
  std::optional<model::StreamInfo> info;  ///< describe
};

}  // namespace weir::protocol
