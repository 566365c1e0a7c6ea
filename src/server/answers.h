#pragma once

#include "base/result.h"
#include "protocol/messages.h"

#include <string>

namespace weir::server {

struct Answer {
  protocol::Status status = protocol::Status::kUnknownFailure;
  std::string text;
};

/// What a client is told when `operation` failed with `error`: the only place where an `Errc`
/// becomes a status of the protocol.
Answer answer_for(const Error& error, protocol::Operation operation);

}  // namespace weir::server
