#pragma once

#include "daemon/config.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// A variable that weir reads; docs/configuration.md lists them all and a test compares.
struct EnvironmentName {
  std::string_view name;  ///< ends in '*' if it stands for several
  std::string_view key;   ///< the configuration key it sets, empty if none
  std::string_view doc;
};

/// Every name, except the `WEIR_<SECTION>_<KEY>` ones that exist for each scalar key.
const std::vector<EnvironmentName>& environment_names();

/// The variable that sets the key with this dotted path: WEIR_SERVER_PORT for "server.port".
std::string environment_name_of(std::string_view path);

/// True for the names that existing deployments set (STREAM_MANAGER_*, JVM_ARGS, LOG_LEVEL).
bool is_environment_name(std::string_view name);

/// Applies one of those; returns what is wrong with the value, else an empty text.
/// `where` is where it was set.
std::string apply_environment_name(std::string_view name, const std::string& given,
                                   const Position& where, Config& config);

/// True for names whose values are never shown: keys, tokens.
bool is_secret_name(std::string_view name);

/// Applies a whole environment.
void apply_environment(const std::map<std::string, std::string>& environment, Config& config,
                       std::vector<Problem>& problems);

}  // namespace weir::daemon
