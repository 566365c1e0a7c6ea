#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "server/server.h"

#include <memory>
#include <string>

namespace weir::daemon {

/// Asks the token exchange endpoint of the platform whether a token is known (protocol.md §9.1):
/// 200 means yes. Answers that mean no are remembered for a second. When the endpoint cannot be
/// asked, the client is refused.
///
/// Asks one at a time, on a thread of its own; at most 256 questions wait, further clients are
/// refused. Lifetime: `core` and `clock` outlive it.
std::unique_ptr<server::Verifier> make_token_exchange(std::string url, Clock& clock,
                                                      Executor& core);

}  // namespace weir::daemon
