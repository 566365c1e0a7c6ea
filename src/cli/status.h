#pragma once

#include "base/result.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace CLI {
class App;
}

namespace weir::cli {

/// The document of /status as text for people. Fields that are missing count as empty.
std::string status_text(const nlohmann::json& status);

/// One export's line: what it is doing and, if it waits, why, in plain words.
std::string export_line(const nlohmann::json& entry);

/// Reads the document; kCorrupt if it is none.
Result<nlohmann::json> parse_status(const std::string& body);

void add_status_command(CLI::App& app, int& status);

}  // namespace weir::cli
