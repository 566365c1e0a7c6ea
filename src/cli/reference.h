#pragma once

#include "cli/command_table.h"

#include <map>
#include <string>

namespace weir::cli {

/// What docs/commands.md says of the commands, as Markdown: a table of them, then each one.
std::string reference_markdown(const CommandTable& table);

/// The manual page of the program ("") or of a command or group at the top, for man(7).
std::string manual_page(const CommandTable& table, const Command& command);

/// All of them by file name: "weir.1", "weir-stream.1", ...
std::map<std::string, std::string> manual_pages(const CommandTable& table);

/// `text` so that man(7) shows it as it is.
std::string roff(std::string_view text);
/// Paragraphs as in `Command::description`, as man(7).
std::string roff_paragraphs(std::string_view text);

}  // namespace weir::cli
