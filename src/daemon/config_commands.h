#pragma once

#include "cli/command_table.h"

#include <vector>

namespace weir::daemon {

/// `weir reload` and `weir config ...`.
cli::CommandTable config_commands();

/// `--config` and `--config-dir`, for commands that read the configuration as `serve` does.
std::vector<cli::Flag> configuration_flags();

}  // namespace weir::daemon
