#pragma once

#include "cli/command_table.h"

#include <string>
#include <vector>

namespace weir::cli {

/// Finds the command that `words` (without the program's name) begin with, checks the rest against
/// its entry and runs it. The table's entry "" is the program itself. Returns the exit status.
int run_program(const CommandTable& table, const std::vector<std::string>& words);

}  // namespace weir::cli
