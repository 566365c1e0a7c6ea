#pragma once

#include <string>

namespace weir::daemon {

/// Every key with its default or an example, commented out: packaging/weir.yaml, and what
/// `weir config init` writes.
std::string sample_config();

}  // namespace weir::daemon
