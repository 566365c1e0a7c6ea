#pragma once

namespace weir::daemon {

/// The program `weir`: finds the subcommand, runs it, returns the exit status (0 ok, 1 failed,
/// 2 usage). Never throws.
int run_command(int argc, char** argv);

}  // namespace weir::daemon
