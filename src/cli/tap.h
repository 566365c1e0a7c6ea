#pragma once

#include "base/result.h"
#include "cli/command_table.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace weir::cli {

/// How `tap` shows payloads.
enum class PayloadForm : std::uint8_t { kNone, kText, kJson, kHex };

/// One batch as a line, and a line for each payload that is to be shown.
std::string batch_text(const nlohmann::json& batch, PayloadForm form);

/// "STREAM/EXPORT" for what was typed: that itself, an identifier that only one stream has, or a
/// stream that has only one export. Errors: kNotFound, kInvalidArgument with what fits.
Result<std::string> find_export(const nlohmann::json& status, const std::string& typed);

Command tap_command();

}  // namespace weir::cli
