#pragma once

#include "base/result.h"
#include "protocol/messages.h"
#include "stream/catalog.h"

#include <string>
#include <string_view>

namespace weir::server {

struct Answer {
  protocol::Status status = protocol::Status::kUnknownFailure;
  std::string text;
};

/// What a client is told when `operation` failed with `error`: the only place where an `Errc`
/// becomes a status of the protocol.
Answer answer_for(const Error& error, protocol::Operation operation);

/// What a client is told of a stream that is not served: there is none of that name, or it cannot
/// be read.
Answer answer_for_missing(const stream::Catalog& catalog, std::string_view name,
                          protocol::Operation operation);

}  // namespace weir::server
