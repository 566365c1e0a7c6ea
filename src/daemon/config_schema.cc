#include "daemon/config_schema.h"

#include "daemon/environment.h"
#include "daemon/schema.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace weir::daemon {
namespace {

using nlohmann::ordered_json;

ordered_json schema_of(const Key& key);

ordered_json object_of(const std::vector<Key>& children) {
  ordered_json properties = ordered_json::object();
  ordered_json required = ordered_json::array();
  for (const Key& child : children) {
    properties[child.name] = schema_of(child);
    if (child.required) required.push_back(child.name);
  }
  ordered_json object = {{"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) object["required"] = std::move(required);
  return object;
}

// YAML reads 5 and true as what they look like; weir reads them as text where text is meant.
ordered_json text_type() {
  return {{"type", ordered_json::array({"string", "number", "boolean"})}};
}

ordered_json choices_of(const Key& key) {
  ordered_json values = key.choices;
  // mqtt_version: 5 is a number to a YAML reader.
  for (const auto& choice : key.choices) {
    if (choice.find_first_not_of("0123456789") == std::string::npos) {
      values.push_back(std::stoll(choice));
    }
  }
  return {{"enum", std::move(values)}};
}

ordered_json whole_number(const Key& key) {
  ordered_json number = {{"type", "integer"}, {"minimum", key.min}};
  if (key.max != std::numeric_limits<std::int64_t>::max()) number["maximum"] = key.max;
  return number;
}

ordered_json type_of(const Key& key) {
  switch (key.kind) {
    case Kind::kSection: {
      ordered_json section = object_of(key.children);
      // A section whose keys are all commented out is empty.
      section["type"] =
          key.required ? ordered_json("object") : ordered_json::array({"object", "null"});
      return section;
    }
    case Kind::kList: {
      ordered_json element = object_of(key.children);
      element["type"] = "object";
      return {{"type", ordered_json::array({"array", "null"})}, {"items", std::move(element)}};
    }
    case Kind::kTextMap: {
      ordered_json map = {{"type", "object"}, {"additionalProperties", text_type()}};
      if (!key.choices.empty()) map["propertyNames"] = {{"enum", key.choices}};
      return map;
    }
    case Kind::kFlag:
      return {{"type", "boolean"}};
    case Kind::kInteger:
      return whole_number(key);
    case Kind::kText: {
      ordered_json text = text_type();
      text["minLength"] = 1;
      return text;
    }
    case Kind::kChoice:
      return choices_of(key);
    case Kind::kChoiceOrSection: {
      ordered_json section = object_of(key.children);
      section["type"] = "object";
      section["minProperties"] = 1;
      section["maxProperties"] = 1;
      return {{"oneOf", ordered_json::array({choices_of(key), std::move(section)})}};
    }
  }
  return ordered_json::object();
}

// The default as a value, where it is one and not a sentence.
void add_default(const Key& key, ordered_json& schema) {
  if (key.default_text.empty()) return;
  if (key.kind == Kind::kFlag) {
    schema["default"] = key.default_text == "true";
  } else if (key.kind == Kind::kInteger) {
    if (auto value = value_from_text(key, key.default_text)) schema["default"] = value->integer;
  } else if (key.kind == Kind::kChoice) {
    if (value_from_text(key, key.default_text)) schema["default"] = key.default_text;
  } else if (find_key(key.name) != nullptr) {
    schema["default"] = key.default_text;
  }
}

ordered_json schema_of(const Key& key) {
  ordered_json schema = {{"description", key.doc}};
  schema.update(type_of(key));
  add_default(key, schema);
  return schema;
}

}  // namespace

std::string config_schema_json() {
  ordered_json document = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                           {"title", "Configuration of weir"},
                           {"description", "weir.yaml and the files in conf.d"},
                           {"type", ordered_json::array({"object", "null"})}};
  document.update(object_of(schema().children));
  // A Greengrass component's configuration has these names as keys, its numbers as floats.
  for (const auto& each : environment_names()) {
    if (!is_environment_name(each.name)) continue;
    document["properties"][std::string(each.name)] = text_type();
    document["properties"][std::string(each.name)]["description"] = each.doc;
  }
  return document.dump(2) + "\n";
}

}  // namespace weir::daemon
