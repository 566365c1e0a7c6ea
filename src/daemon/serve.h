#pragma once

#include "daemon/config.h"

#include <string>
#include <vector>

namespace weir::daemon {

/// `weir serve`: runs until SIGTERM or SIGINT. Returns the exit status.
int serve(const ConfigSources& sources);

/// `weir validate`: 0 and one line on standard output if the configuration is good, else 1 and one
/// line per problem on standard error.
int validate_files(const std::vector<std::string>& files);

/// The configuration that is read when none is named, if it exists.
inline constexpr const char* kDefaultConfigFile = "/etc/weir/weir.yaml";

}  // namespace weir::daemon
