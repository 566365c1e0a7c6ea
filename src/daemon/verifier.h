#pragma once

#include "base/executor.h"
#include "base/result.h"
#include "daemon/config.h"
#include "server/server.h"

#include <memory>

namespace weir::daemon {

/// Makes what decides about clients' tokens (protocol.md §9.1): the tokens of a file, else the
/// token exchange endpoint; without authentication, everybody is let in.
///
/// Lifetime: `core` outlives the verifier. Errors: kInvalidArgument, saying what to set, when
/// authentication is on but nothing is configured to check tokens against; kIo.
Result<std::unique_ptr<server::Verifier>> make_verifier(const Config& config, Clock& clock,
                                                        Executor& core);

}  // namespace weir::daemon
