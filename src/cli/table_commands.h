#pragma once

#include "cli/command_table.h"

#include <functional>
#include <map>
#include <string>

namespace weir::cli {

/// The commands that print what is made from the table of all commands: `completion` with the
/// hidden command that its scripts call, and `man`. `table` is called when one of them runs;
/// `more_pages` are manual pages that are no command's.
CommandTable table_commands(const std::function<CommandTable()>& table,
                            std::map<std::string, std::function<std::string()>> more_pages);

}  // namespace weir::cli
