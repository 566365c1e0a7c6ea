#include "cli/status_fields.h"

#include "cli/screen_text.h"

#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

const json* field(const json& entry, const char* key) {
  if (!entry.is_object()) return nullptr;
  const auto found = entry.find(key);
  return found == entry.end() ? nullptr : &*found;
}

}  // namespace

std::int64_t number_field(const json& entry, const char* key) {
  const json* found = field(entry, key);
  return found != nullptr && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

double decimal_field(const json& entry, const char* key) {
  const json* found = field(entry, key);
  return found != nullptr && found->is_number() ? found->get<double>() : 0;
}

bool flag_field(const json& entry, const char* key) {
  const json* found = field(entry, key);
  return found != nullptr && found->is_boolean() && found->get<bool>();
}

std::string text_field(const json& entry, const char* key) {
  const json* found = field(entry, key);
  if (found == nullptr || !found->is_string()) return {};
  return visible(found->get_ref<const std::string&>());
}

const json& part_field(const json& entry, const char* key) {
  static const json none = json::object();
  const json* found = field(entry, key);
  return found != nullptr && found->is_structured() ? *found : none;
}

}  // namespace weir::cli
