#pragma once

#include "cli/command_table.h"

namespace weir::cli {

/// `dlq ls | show | replay`.
CommandTable dead_letter_commands();

}  // namespace weir::cli
