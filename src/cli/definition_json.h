#pragma once

#include "base/result.h"
#include "model/definition.h"

#include <nlohmann/json_fwd.hpp>
#include <string_view>

/// Stream definitions as JSON documents, with the names of the wire protocol.
namespace weir::cli {

/// Reads and checks a definition. Errors: kInvalidArgument naming every field at fault, unknown
/// keys included.
Result<model::StreamDefinition> definition_from_json(std::string_view text);

/// What `describe` answered, as a JSON document in the order of the protocol.
nlohmann::ordered_json info_to_json(const model::StreamInfo& info);

}  // namespace weir::cli
