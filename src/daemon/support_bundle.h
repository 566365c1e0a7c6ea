#pragma once

#include "cli/command_table.h"

namespace weir::daemon {

/// `weir support-bundle`: one file with everything that somebody needs who was not there, and
/// nothing that must stay: no payloads, tokens, keys, or parts of addresses that may be secret.
cli::Command support_bundle_command();

}  // namespace weir::daemon
