#pragma once

#include "base/result.h"
#include "cli/command_table.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace weir::cli {

/// The document of /status as text for people. Fields that are missing count as empty.
std::string status_text(const nlohmann::json& status);

/// One export's line: what it is doing and, if it waits, why, in plain words.
std::string export_line(const nlohmann::json& entry);

/// Reads the document; kCorrupt if it is none.
Result<nlohmann::json> parse_status(const std::string& body);

Command status_command();

}  // namespace weir::cli
