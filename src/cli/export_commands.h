#pragma once

#include "cli/command_table.h"

namespace weir::cli {

/// `export pause | resume | rewind | retry-now`.
CommandTable export_commands();

}  // namespace weir::cli
