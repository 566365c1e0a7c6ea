#pragma once

#include "daemon/config.h"
#include "daemon/config_files.h"

#include <string>

namespace weir::daemon {

/// `weir serve`: runs until SIGTERM or SIGINT. Returns the exit status.
int serve(const ConfigSources& sources);

/// `weir validate`: 0 and one line on standard output if the configuration is good, else 1 and one
/// line per problem on standard error.
/// `name` is what the user called it.
int validate_config(const ConfigSources& sources, const std::string& name);

}  // namespace weir::daemon
