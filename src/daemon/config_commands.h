#pragma once

#include "cli/command_table.h"

namespace weir::daemon {

/// `weir reload` and `weir config ...`.
cli::CommandTable config_commands();

}  // namespace weir::daemon
