#pragma once

#include "cli/command_table.h"

namespace weir::cli {

/// The commands of this folder, in the order in which help shows them.
CommandTable client_commands();

}  // namespace weir::cli
