#pragma once

#include "cli/command_table.h"

namespace weir::cli {

/// `stream ls | info | create | update | rm`.
CommandTable stream_commands();

}  // namespace weir::cli
