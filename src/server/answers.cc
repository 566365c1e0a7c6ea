#include "server/answers.h"

namespace weir::server {
namespace {

using protocol::Operation;
using protocol::Status;

// The disk refused. Which status says so depends on what was being done (protocol.md §2.1).
Status status_of_io(Operation operation) {
  if (operation == Operation::kReadMessages) return Status::kMessageStoreReadError;
  if (operation == Operation::kUpdateMessageStream) return Status::kUpdateFailed;
  return Status::kUnknownFailure;
}

}  // namespace

Answer answer_for(const Error& error, Operation operation) {
  switch (error.code) {
    case Errc::kInvalidArgument:
    case Errc::kFull:
    case Errc::kUnsupported:
      return {Status::kInvalidRequest, error.what};
    case Errc::kNotFound:
      return {Status::kResourceNotFound, std::string(protocol::kTextNoSuchStream)};
    case Errc::kAlreadyExists:
      return {Status::kInvalidRequest, std::string(protocol::kTextStreamExists)};
    case Errc::kConflict:
      return {Status::kUpdateNotAllowed, error.what};
    case Errc::kIo:
      return {status_of_io(operation), error.what};
    case Errc::kCorrupt:
      return {Status::kMessageStoreReadError, error.what};
    case Errc::kUnavailable:
    case Errc::kCancelled:
      return {Status::kServerTimeout, error.what};
  }
  return {Status::kUnknownFailure, error.what};
}

Answer answer_for_missing(const stream::Catalog& catalog, std::string_view name,
                          Operation operation) {
  if (const auto* one = catalog.find_unavailable(name)) {
    return answer_for({Errc::kIo, one->why, 0}, operation);
  }
  return {Status::kResourceNotFound, std::string(protocol::kTextNoSuchStream)};
}

}  // namespace weir::server
