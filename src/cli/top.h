#pragma once

#include "cli/command_table.h"

namespace weir::cli {

Command top_command();

}  // namespace weir::cli
