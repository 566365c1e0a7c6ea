#pragma once

#include "base/executor.h"
#include "base/metrics.h"
#include "daemon/config.h"
#include "server/server.h"

#include <memory>

namespace weir::greengrass {
class Component;
}

/// weir and the Greengrass nucleus that started it, if one did.
namespace weir::daemon {

/// The component, or null where no nucleus started this process. Logs which.
///
/// Lifetime: `clock` and `metrics` outlive it.
std::unique_ptr<greengrass::Component> start_component(const greengrass::Options& options,
                                                       const Clock& clock,
                                                       metrics::Registry& metrics);

/// Asks the nucleus about clients' tokens. A refusal is remembered for a second, a welcome not at
/// all. If the nucleus tells only others, `endpoint` is asked from then on; it may be null.
///
/// Threads: core. Lifetime: everything given outlives it, and no question is under way at `core`
/// when it is destroyed.
std::unique_ptr<server::Verifier> make_nucleus_verifier(greengrass::Component& nucleus,
                                                        std::unique_ptr<server::Verifier> endpoint,
                                                        Clock& clock, Executor& core);

}  // namespace weir::daemon
