#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "protocol/messages.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Bytes <-> messages. Knows no sockets and no streams. Everything here is pure; threads: any.
namespace weir::protocol {

/// One frame at the start of `from`.
struct Frame {
  Operation operation = Operation::kUnknown;
  std::uint8_t operation_code = 0;  ///< as received, also when unknown
  Bytes payload;
  std::size_t bytes = 0;  ///< whole frame, head included
};
struct FrameView {
  enum class Kind : std::uint8_t {
    kFrame,
    kNeedMore,   ///< `bytes_needed` in all, 5 while the head is incomplete
    kBadLength,  ///< below 2 or above 2^30: close
  };
  Kind kind = Kind::kNeedMore;
  Frame frame;
  std::size_t bytes_needed = kFrameHeadBytes;
};
FrameView split_frame(Bytes from);

// ---- server side ----------------------------------------------------------------------------

tl::expected<ConnectRequest, DecodeFailure> decode_connect(Bytes payload);

/// Decodes and validates (protocol::validate included) a request. `operation` must be a request
/// operation other than Connect. Views point into `payload` or `scratch`.
tl::expected<Request, DecodeFailure> decode_request(Operation operation, Bytes payload,
                                                    DecodeScratch& scratch);

/// The hot path: the same as `decode_request` for AppendMessage, without the variant.
tl::expected<AppendRequest, DecodeFailure> decode_append(Bytes payload, DecodeScratch& scratch);

/// The same again without the fast path; the answers are equal. For tests.
tl::expected<AppendRequest, DecodeFailure> decode_append_any(Bytes payload, DecodeScratch& scratch);

/// The `requestId` of any request, for answering one whose operation is unknown or not expected.
/// Fails as kMalformed only.
tl::expected<std::string_view, DecodeFailure> decode_request_id(Bytes payload,
                                                                DecodeScratch& scratch);

/// The `requestId` found in the first bytes of a payload that is too large to be read whole.
std::optional<std::string> find_request_id(Bytes prefix);

/// Encoders append one whole frame to `out`. Field order: requestId, then as in messages.json.
void encode_connect_response(const ConnectResponse& response, ByteBuffer& out);
/// Create, update, delete, unknown operation, and every error answer. For append, read, list and
/// describe only with a status other than success.
void encode_status_response(Operation response, std::string_view request_id, Status status,
                            std::string_view error_message, ByteBuffer& out);
void encode_append_response(std::string_view request_id, std::int64_t sequence_number,
                            ByteBuffer& out);
void encode_list_response(std::string_view request_id, const std::vector<std::string>& names,
                          ByteBuffer& out);
void encode_describe_response(std::string_view request_id, const model::StreamInfo& info,
                              ByteBuffer& out);

/// Writes a ReadMessages response while its messages are being read: begin, add..., finish.
/// Definite lengths throughout; when other than `count_expected` messages came, `finish` may move
/// the bytes once.
class ReadResponseEncoder {
 public:
  /// `out` and `stream_name` must outlive the encoder; nothing else may write to `out` meanwhile.
  ReadResponseEncoder(std::string_view request_id, std::string_view stream_name,
                      std::int64_t count_expected, ByteBuffer& out);
  void add(std::int64_t sequence_number, std::int64_t ingest_time_ms, Bytes payload);
  /// Size of the frame so far, were it finished now.
  [[nodiscard]] std::size_t frame_bytes() const;
  /// What one more message of this size would add, at most.
  [[nodiscard]] std::size_t message_bytes_max(std::size_t payload_bytes) const;
  [[nodiscard]] std::int64_t count() const { return count_; }
  void finish();
  /// Takes everything back out of `out`, as if never begun.
  void abandon();

 private:
  void fix_array_head();

  ByteBuffer& out_;
  std::string message_prefix_;  // encoded once: what is the same at the start of every message
  std::size_t frame_begin_;
  std::size_t array_head_ = 0;  // where the head of the messages array stands
  std::size_t array_head_bytes_ = 0;
  std::int64_t count_expected_;
  std::int64_t count_ = 0;
};

// ---- negotiation and validation -------------------------------------------------------------

struct Negotiated {
  std::optional<Version> version;  ///< none: refused with `status`
  Status status = Status::kSuccess;
};
/// protocol.md §1.6.
Negotiated negotiate(const ConnectRequest& request);

/// Checks a definition by itself (protocol.md §3.3, §3.4, the gaps of §2.3). Returns every
/// violation, "<path>: <reason>" joined by "; ", empty if there is none. `path` is the prefix,
/// "definition" on the wire. State-dependent rules (§4.7, status streams) are not checked here.
std::string validate(const model::StreamDefinition& definition, std::string_view path);
/// The same for a stream name alone.
std::string validate_name(std::string_view name, std::string_view path);

// ---- client side ----------------------------------------------------------------------------

void encode_connect(const ConnectRequest& request, ByteBuffer& out);  ///< without the version byte
void encode_request(const Request& request, ByteBuffer& out);
/// Errors: kCorrupt, saying what is wrong with the answer.
Result<ConnectResponse> decode_connect_response(Bytes payload);
Result<Response> decode_response(Operation operation, Bytes payload);

}  // namespace weir::protocol
