#pragma once

#include "daemon/config.h"

#include <cstdint>
#include <string>
#include <vector>

/// Values that are of the right type and can still never work, said before messages wait for them.
namespace weir::daemon {

/// Why no export of this declaration can ever send anything to its target, "" if it may. Options
/// are not looked at: rules may change them. `own_ports` are those that weir listens on. Pure.
std::string target_problem(const model::ExportConfig& config,
                           const std::vector<std::uint16_t>& own_ports);

/// What is incomplete, contradicts itself or is no such name in what was set for AWS. Pure.
std::vector<Problem> aws_problems(const Config& config);

}  // namespace weir::daemon
