#include "server/peer.h"

#include "base/log.h"
#include "protocol/codec.h"

#include <algorithm>
#include <new>
#include <utility>
#include <variant>

namespace weir::server {
namespace {

using protocol::FrameView;
using protocol::Operation;
using protocol::Status;

// How much of a refused frame is looked at for its request id: every client sends that first.
constexpr std::size_t kPrefixBytes = protocol::kFrameHeadBytes + 2 * protocol::kRequestIdBytesMax;
// The length field counts what stands behind its own four bytes.
constexpr std::size_t kLengthFieldBytes = 4;

protocol::ConnectResponse connect_response(std::string_view request_id, Status status,
                                           std::string text) {
  protocol::ConnectResponse response;
  response.request_id = request_id;
  response.status = status;
  response.error_message = std::move(text);
  response.supported_protocol_versions = {
      std::string(protocol::version_text(protocol::Version::k1_0_0)),
      std::string(protocol::version_text(protocol::Version::k1_1_0))};
  response.server_version = WEIR_VERSION;
  return response;
}

}  // namespace

Peer::Taken Peer::take(Bytes input) {
  std::size_t taken = 0;
  if (phase_ == Phase::kOpen && !shared_.host.has_room(id_)) {
    paused_ = true;
    return {0, Next::kPaused, 0};
  }
  while (true) {
    const Step step = this->step(input.subspan(taken));
    taken += step.bytes;
    if (step.again) continue;
    paused_ = step.next == Next::kPaused;
    return {taken, step.next, step.needed};
  }
}

Peer::Step Peer::step(Bytes rest) {
  switch (phase_) {
    case Phase::kOpen:
      return take_frame(rest);
    case Phase::kVersion:
      return take_version(rest);
    case Phase::kConnect:
      return take_connect(rest);
    case Phase::kVerifying:
      return pause();
    case Phase::kDiscarding:
      return discard(rest);
    case Phase::kEnded:
      break;
  }
  return ended_step();
}

Peer::Step Peer::take_version(Bytes rest) {
  if (rest.empty()) return needs(1);
  if (rest[0] != protocol::kConnectVersion) {
    refuse_connect({}, Status::kUnsupportedConnectVersion,
                   "connect version " + std::to_string(std::to_integer<int>(rest[0])) +
                       " is not supported, use 1");
    return ended_step();
  }
  phase_ = Phase::kConnect;
  return consumed(1);
}

Peer::Step Peer::take_connect(Bytes rest) {
  const FrameView view = protocol::split_frame(rest);
  if (view.kind == FrameView::Kind::kBadLength) {
    refuse_connect({}, Status::kInvalidRequest, "the first frame has an impossible length");
    return ended_step();
  }
  const std::size_t whole =
      view.kind == FrameView::Kind::kFrame ? view.frame.bytes : view.bytes_needed;
  if (whole > protocol::kUnauthenticatedFrameBytesMax + kLengthFieldBytes) {
    shared_.instruments.count(Limit::kHandshakeFrameBytes);
    const auto head = std::min(rest.size(), protocol::kFrameHeadBytes);
    const auto id = protocol::find_request_id(rest.subspan(head));
    refuse_connect(id.value_or(""), Status::kRequestPayloadTooLarge,
                   "the first frame is larger than " +
                       std::to_string(protocol::kUnauthenticatedFrameBytesMax) + " bytes");
    return ended_step();
  }
  if (view.kind == FrameView::Kind::kNeedMore) return needs(view.bytes_needed);
  if (view.frame.operation != Operation::kConnect) {
    refuse_connect(protocol::find_request_id(view.frame.payload).value_or(""),
                   Status::kUnexpectedOperation, "the first request must be Connect");
    return ended_step();
  }
  handle_connect(view.frame.payload);
  return consumed(view.frame.bytes);
}

void Peer::handle_connect(Bytes payload) {
  shared_.instruments.count_request(Operation::kConnect);
  auto request = protocol::decode_connect(payload);
  if (!request) {
    refuse_connect(request.error().request_id, Status::kInvalidRequest,
                   std::move(request.error().reason));
    return;
  }
  const auto negotiated = protocol::negotiate(*request);
  if (!negotiated.version) {
    refuse_connect(request->request_id, negotiated.status,
                   "this server speaks protocol versions 1.0.0 and 1.1.0");
    return;
  }
  handshake_ =
      std::make_unique<Handshake>(Handshake{std::move(request->request_id), *negotiated.version});
  phase_ = Phase::kVerifying;
  shared_.host.authenticate(*this, std::move(request->auth_token));
}

void Peer::verified(TokenVerdict verdict) {
  if (phase_ != Phase::kVerifying) return;
  const auto handshake = std::exchange(handshake_, nullptr);
  if (verdict != TokenVerdict::kGood) {
    refuse_connect(handshake->request_id, Status::kUnauthorized,
                   verdict == TokenVerdict::kBad
                       ? "Unauthorized"
                       : "Unauthorized: tokens cannot be checked at present, try again");
    return;
  }
  version_ = handshake->version;
  auto response = connect_response(handshake->request_id, Status::kSuccess, "");
  response.protocol_version = protocol::version_text(version_);
  response.client_identifier = "client-" + std::to_string(serial_);
  connect_answer(response, true);
  phase_ = Phase::kOpen;
}

void Peer::handshake_timed_out() {
  if (!in_handshake()) return;
  const auto handshake = std::exchange(handshake_, nullptr);
  // Status 6 tells a client nothing in the handshake that closing would not; but a client that is
  // left without an answer may wait for ever.
  refuse_connect(handshake ? std::string_view(handshake->request_id) : std::string_view{},
                 handshake ? Status::kUnauthorized : Status::kServerTimeout,
                 "the handshake took too long");
  end_reason_ = CloseReason::kHandshakeTimeout;
}

void Peer::refuse_connect(std::string_view request_id, Status status, std::string text) {
  log::debug("Refused a client.", {{"status", protocol::status_name(status)}, {"why", text}});
  connect_answer(connect_response(request_id, status, std::move(text)), true);
  end(CloseReason::kRefused);
}

void Peer::connect_answer(const protocol::ConnectResponse& response, bool with_version_byte) {
  if (response.status != Status::kSuccess) shared_.instruments.count_error(response.status);
  ByteBuffer& out = output();
  if (with_version_byte) out.append(protocol::kConnectVersion);
  protocol::encode_connect_response(response, out);
}

void Peer::end(CloseReason reason) {
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  end_reason_ = reason;
}

Peer::Step Peer::take_frame(Bytes rest) {
  if (busy_) return pause();
  const FrameView view = protocol::split_frame(rest);
  if (view.kind == FrameView::Kind::kBadLength) {
    end(CloseReason::kMalformed);
    return ended_step();
  }
  const std::size_t whole =
      view.kind == FrameView::Kind::kFrame ? view.frame.bytes : view.bytes_needed;
  if (whole > shared_.frame_bytes_max + kLengthFieldBytes) return refuse_large(rest, whole);
  if (view.kind == FrameView::Kind::kNeedMore) return needs(view.bytes_needed);

  Verdict verdict = Verdict::kDone;
  try {
    verdict = handle(view.frame.operation, view.frame.operation_code, view.frame.payload);
  } catch (const std::bad_alloc&) {
    // One request that cannot be held is refused; everything else goes on (reliability.md R5).
    const auto id = protocol::find_request_id(view.frame.payload);
    if (id) answer(view.frame.operation, *id, Status::kOutOfMemory, "out of memory");
    if (!id) end(CloseReason::kOutOfMemory);
  }
  if (verdict == Verdict::kLater) return pause();
  busy_ = busy_ || verdict == Verdict::kBusy;
  return consumed(view.frame.bytes);
}

Peer::Step Peer::refuse_large(Bytes rest, std::size_t frame_bytes) {
  const std::size_t enough = std::min(frame_bytes, kPrefixBytes);
  if (rest.size() < enough) return needs(enough);
  shared_.instruments.count(Limit::kFrameBytes);
  const auto code = std::to_integer<std::uint8_t>(rest[kLengthFieldBytes]);
  const auto id = protocol::find_request_id(rest.subspan(protocol::kFrameHeadBytes));
  if (!id) {
    end(CloseReason::kMalformed);
    return ended_step();
  }
  const auto operation = static_cast<Operation>(code);
  answer(operation, *id,
         protocol::response_of(operation) == Operation::kUnknownOperationError
             ? Status::kUnknownOperation
             : Status::kRequestPayloadTooLarge,
         "the request is larger than " + std::to_string(shared_.frame_bytes_max) + " bytes");
  phase_ = Phase::kDiscarding;
  discard_bytes_ = frame_bytes;
  return consumed(0);
}

Peer::Step Peer::discard(Bytes rest) {
  const std::size_t now = std::min(rest.size(), discard_bytes_);
  discard_bytes_ -= now;
  if (discard_bytes_ > 0) return {now, false, Next::kMore, 1};
  phase_ = Phase::kOpen;
  return consumed(now);
}

Verdict Peer::handle(Operation operation, std::uint8_t code, Bytes payload) {
  if (operation == Operation::kAppendMessage) [[likely]]
    return handle_append(payload);
  if (!shared_.host.has_room(id_)) return Verdict::kLater;
  if (operation == Operation::kConnect) {
    handle_second_connect(payload);
    return Verdict::kDone;
  }
  if (protocol::response_of(operation) == Operation::kUnknownOperationError) {
    handle_unknown(code, payload);
    return Verdict::kDone;
  }
  return handle_other(operation, payload);
}

Verdict Peer::handle_append(Bytes payload) {
  const auto request = protocol::decode_append(payload, shared_.scratch);
  if (!request) [[unlikely]] {
    if (!shared_.host.has_room(id_)) return Verdict::kLater;
    reject(Operation::kAppendMessage, request.error());
    return Verdict::kDone;
  }
  return shared_.host.append(*this, *request);
}

Verdict Peer::handle_other(Operation operation, Bytes payload) {
  auto request = protocol::decode_request(operation, payload, shared_.scratch);
  if (!request) {
    reject(operation, request.error());
    return Verdict::kDone;
  }
  return shared_.host.request(*this, operation, *request);
}

void Peer::handle_second_connect(Bytes payload) {
  const auto request = protocol::decode_connect(payload);
  if (!request && request.error().kind == protocol::DecodeFailure::Kind::kMalformed) {
    end(CloseReason::kMalformed);
    return;
  }
  const std::string& id = request ? request->request_id : request.error().request_id;
  connect_answer(connect_response(id, Status::kUnexpectedOperation, "already connected"), false);
}

void Peer::handle_unknown(std::uint8_t code, Bytes payload) {
  shared_.instruments.count_request(Operation::kUnknown);
  const auto id = protocol::find_request_id(payload);
  if (!id) {
    end(CloseReason::kMalformed);
    return;
  }
  const int number = code < 128 ? code : code - 256;  // the field is signed
  answer(Operation::kUnknown, *id, Status::kUnknownOperation,
         "operation " + std::to_string(number) + " is not recognized by this server");
}

void Peer::reject(Operation operation, const protocol::DecodeFailure& failure) {
  shared_.instruments.count_request(operation);
  if (failure.kind == protocol::DecodeFailure::Kind::kMalformed) {
    log::debug("A client sent what is not the protocol.", {{"why", failure.reason}});
    end(CloseReason::kMalformed);
    return;
  }
  answer(operation, failure.request_id, Status::kInvalidRequest, failure.reason);
}

void Peer::answer(Operation request, std::string_view request_id, Status status,
                  std::string_view text) {
  if (status != Status::kSuccess) shared_.instruments.count_error(status);
  protocol::encode_status_response(protocol::response_of(request), request_id,
                                   protocol::status_for(version_, status), text, output());
}

}  // namespace weir::server
