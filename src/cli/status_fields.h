#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

/// Fields of weir's own JSON documents. Another program may answer on that port, so what is
/// missing or of another type reads as empty, and every text is made safe for a terminal.
namespace weir::cli {

std::int64_t number_field(const nlohmann::json& entry, const char* key);
double decimal_field(const nlohmann::json& entry, const char* key);
bool flag_field(const nlohmann::json& entry, const char* key);
std::string text_field(const nlohmann::json& entry, const char* key);
/// An object or array; an empty object if there is none.
const nlohmann::json& part_field(const nlohmann::json& entry, const char* key);

}  // namespace weir::cli
