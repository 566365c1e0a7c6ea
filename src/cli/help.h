#pragma once

#include "cli/command_table.h"

#include <string>
#include <string_view>

namespace weir::cli {

inline constexpr std::size_t kHelpColumns = 80;

/// `text` broken into lines of at most `columns`, each after the first with `indent` spaces in
/// front. Blank lines part paragraphs; lines that begin with two spaces stay as they are.
std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent);

/// What `--help` prints for a command, a group, or with an empty name for the program.
std::string help_text(const CommandTable& table, const Command& command);

}  // namespace weir::cli
