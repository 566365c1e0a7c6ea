#include "protocol/messages.h"

namespace weir::protocol {

Operation response_of(Operation request) {
  switch (request) {
    case Operation::kConnect:
      return Operation::kConnectResponse;
    case Operation::kCreateMessageStream:
      return Operation::kCreateMessageStreamResponse;
    case Operation::kDeleteMessageStream:
      return Operation::kDeleteMessageStreamResponse;
    case Operation::kAppendMessage:
      return Operation::kAppendMessageResponse;
    case Operation::kReadMessages:
      return Operation::kReadMessagesResponse;
    case Operation::kListStreams:
      return Operation::kListStreamsResponse;
    case Operation::kDescribeMessageStream:
      return Operation::kDescribeMessageStreamResponse;
    case Operation::kUpdateMessageStream:
      return Operation::kUpdateMessageStreamResponse;
    default:
      return Operation::kUnknownOperationError;
  }
}

const char* status_name(Status status) {
  switch (status) {
    case Status::kSuccess:
      return "Success";
    case Status::kUnknownFailure:
      return "UnknownFailure";
    case Status::kUnauthorized:
      return "Unauthorized";
    case Status::kInvalidRequest:
      return "InvalidRequest";
    case Status::kRequestPayloadTooLarge:
      return "RequestPayloadTooLarge";
    case Status::kResourceNotFound:
      return "ResourceNotFound";
    case Status::kServerTimeout:
      return "ServerTimeout";
    case Status::kResponsePayloadTooLarge:
      return "ResponsePayloadTooLarge";
    case Status::kUnsupportedConnectVersion:
      return "UnsupportedConnectVersion";
    case Status::kUnexpectedOperation:
      return "UnexpectedOperation";
    case Status::kUnsupportedProtocolVersion:
      return "UnsupportedProtocolVersion";
    case Status::kInvalidProtocolVersion:
      return "InvalidProtocolVersion";
    case Status::kFailedToConnect:
      return "FailedToConnect";
    case Status::kNotEnoughMessages:
      return "NotEnoughMessages";
    case Status::kMessageStoreReadError:
      return "MessageStoreReadError";
    case Status::kOutOfMemory:
      return "OutOfMemoryError";
    case Status::kUpdateFailed:
      return "UpdateFailed";
    case Status::kUpdateNotAllowed:
      return "UpdateNotAllowed";
    case Status::kUnknownOperation:
      return "UnknownOperation";
  }
  return "?";
}

std::string_view version_text(Version version) {
  return version == Version::k1_0_0 ? "1.0.0" : "1.1.0";
}

Status status_for(Version version, Status status) {
  if (version != Version::k1_0_0) return status;
  switch (status) {
    case Status::kOutOfMemory:
    case Status::kUpdateFailed:
      return Status::kUnknownFailure;
    case Status::kUpdateNotAllowed:
    case Status::kUnknownOperation:
      return Status::kInvalidRequest;
    default:
      return status;
  }
}

}  // namespace weir::protocol
