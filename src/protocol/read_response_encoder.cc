#include "base/check.h"
#include "protocol/cbor.h"
#include "protocol/codec.h"

#include <cstring>

namespace weir::protocol {
namespace {

/// What stands between the parts of a message, keys and heads.
constexpr std::string_view kSequenceKey = "\x6esequenceNumber";
constexpr std::string_view kIngestTimeKey = "\x6aingestTime";
constexpr std::string_view kPayloadKey = "\x67payload";
constexpr std::string_view kTail{
    "\x66status\x00\x6c"
    "errorMessage\x60",
    22};

std::byte* write_literal(std::byte* to, std::string_view bytes) {
  std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

}  // namespace

ReadResponseEncoder::ReadResponseEncoder(std::string_view request_id, std::string_view stream_name,
                                         std::int64_t count_expected, ByteBuffer& out)
    : out_(out), frame_begin_(out.size()), count_expected_(count_expected) {
  ByteBuffer prefix;
  cbor::put_head(prefix, cbor::kMajorMap, 4);
  cbor::put_text(prefix, "streamName");
  cbor::put_text(prefix, stream_name);
  prefix.append(as_bytes(kSequenceKey));
  message_prefix_ = as_text(prefix.bytes());

  out.extend(kFrameHeadBytes)[4] = static_cast<std::byte>(Operation::kReadMessagesResponse);
  cbor::put_head(out, cbor::kMajorMap, 4);
  cbor::put_text(out, "requestId");
  cbor::put_text(out, request_id);
  cbor::put_text(out, "messages");
  array_head_ = out.size();
  cbor::put_head(out, cbor::kMajorArray, static_cast<std::uint64_t>(count_expected));
  array_head_bytes_ = out.size() - array_head_;
}

std::size_t ReadResponseEncoder::message_bytes_max(std::size_t payload_bytes) const {
  return message_prefix_.size() + kIngestTimeKey.size() + kPayloadKey.size() +
         3 * cbor::kHeadBytesMax + payload_bytes;
}

void ReadResponseEncoder::add(std::int64_t sequence_number, std::int64_t ingest_time_ms,
                              Bytes payload) {
  const std::size_t begin = out_.size();
  std::byte* const from = out_.extend(message_bytes_max(payload.size()));
  std::byte* at = write_literal(from, message_prefix_);
  at = cbor::write_integer(at, sequence_number);
  at = write_literal(at, kIngestTimeKey);
  at = cbor::write_integer(at, ingest_time_ms);
  at = write_literal(at, kPayloadKey);
  at = cbor::write_head(at, cbor::kMajorBytes, payload.size());
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  at += payload.size();
  out_.truncate(begin + static_cast<std::size_t>(at - from));
  ++count_;
}

std::size_t ReadResponseEncoder::frame_bytes() const {
  return out_.size() - frame_begin_ + kTail.size();
}

void ReadResponseEncoder::finish() {
  if (count_ != count_expected_) fix_array_head();
  write_literal(out_.extend(kTail.size()), kTail);
  const std::size_t length = out_.size() - frame_begin_ - sizeof(std::uint32_t);
  WEIR_CHECK(length <= kFrameLengthMax, "whoever adds messages keeps the frame within its limit");
  store_big32(out_.data() + frame_begin_, static_cast<std::uint32_t>(length));
}

/// Writes the true count, moving the messages if its head has another size.
void ReadResponseEncoder::fix_array_head() {
  const auto count = static_cast<std::uint64_t>(count_);
  const std::size_t head_bytes = cbor::head_bytes(count);
  const std::size_t messages_begin = array_head_ + array_head_bytes_;
  const std::size_t messages_bytes = out_.size() - messages_begin;
  if (head_bytes > array_head_bytes_) out_.extend(head_bytes - array_head_bytes_);
  std::memmove(out_.data() + array_head_ + head_bytes, out_.data() + messages_begin,
               messages_bytes);
  cbor::write_head(out_.data() + array_head_, cbor::kMajorArray, count);
  out_.truncate(array_head_ + head_bytes + messages_bytes);
}

void ReadResponseEncoder::abandon() { out_.truncate(frame_begin_); }

}  // namespace weir::protocol
