#pragma once

#include <string>

namespace weir::daemon {

/// weir.yaml(5), the manual page of the configuration file, from the table of its keys.
std::string configuration_page();

}  // namespace weir::daemon
