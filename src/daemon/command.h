#pragma once

#include "cli/command_table.h"

namespace weir::daemon {

/// All commands, in the order in which help shows them. A new one is a function that returns its
/// entry, and a line here or in cli/commands.cc.
cli::CommandTable all_commands();

/// The program `weir`: finds the subcommand, runs it, returns the exit status (0 ok, 1 failed,
/// 2 usage). Never throws.
int run_command(int argc, char** argv);

}  // namespace weir::daemon
