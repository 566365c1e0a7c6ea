#include "stream/definition_file.h"

#include "base/crc32c.h"
#include "stream/layout.h"

#include <array>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace weir::stream {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kDefinitionBytesMax = 1024 * 1024;
constexpr std::string_view kCrcLine = "crc32c ";

template <class T>
void put(Json& into, const char* key, const std::optional<T>& value) {
  if (value) into[key] = *value;
}

template <class E>
void put_enum(Json& into, const char* key, const std::optional<E>& value) {
  if (value) into[key] = static_cast<int>(*value);
}

Json to_json(const model::ExportConfig& config) {
  Json out = {{"type", static_cast<int>(config.type)},
              {"identifier", config.identifier},
              {"target", config.target}};
  put(out, "batch_size", config.batch_size);
  put(out, "batch_interval_ms", config.batch_interval_ms);
  put(out, "priority", config.priority);
  put(out, "start_sequence_number", config.start_sequence_number);
  put(out, "disabled", config.disabled);
  put_enum(out, "export_format", config.export_format);
  put(out, "iot_msg_id_prefix", config.iot_msg_id_prefix);
  put(out, "size_threshold_bytes", config.size_threshold_for_multipart_upload_bytes);
  if (config.status_config) {
    Json status = Json::object();
    put_enum(status, "level", config.status_config->status_level);
    put(status, "stream", config.status_config->status_stream_name);
    out["status"] = std::move(status);
  }
  return out;
}

/// Takes values out of a JSON object, remembering the first that is not what it should be.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {
    if (!object.is_object()) problem_ = "not an object";
  }

  std::optional<std::int64_t> integer(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer()) return wrong<std::int64_t>(key);
    const bool too_large = value->is_number_unsigned() &&
                           value->get<std::uint64_t>() >
                               static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (too_large) return wrong<std::int64_t>(key);
    return value->get<std::int64_t>();
  }
  std::optional<std::string> text(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) return wrong<std::string>(key);
    return value->get<std::string>();
  }
  std::optional<bool> boolean(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) return wrong<bool>(key);
    return value->get<bool>();
  }
  template <class E>
  std::optional<E> enumeration(const char* key, E last) {
    const auto value = integer(key);
    if (!value) return std::nullopt;
    if (*value < 0 || *value > static_cast<std::int64_t>(last)) return wrong<E>(key);
    return static_cast<E>(*value);
  }
  const Json* find(const char* key) {
    if (!problem_.empty()) return nullptr;
    const auto at = object_.find(key);
    return at == object_.end() ? nullptr : &*at;
  }
  template <class T>
  T required(const char* key, std::optional<T> value) {
    if (!value && problem_.empty()) problem_ = std::string(key) + " is missing";
    return std::move(value).value_or(T{});
  }
  template <class T>
  std::optional<T> wrong(const char* key) {
    if (problem_.empty()) problem_ = std::string(key) + " is not what it should be";
    return std::nullopt;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  const Json& object_;
  std::string problem_;
};

Result<model::ExportConfig> export_from_json(const Json& json) {
  Fields fields(json);
  model::ExportConfig config;
  config.type = fields.required("type", fields.enumeration("type", model::ExportType::kFirehose));
  config.identifier = fields.required("identifier", fields.text("identifier"));
  config.target = fields.required("target", fields.text("target"));
  config.batch_size = fields.integer("batch_size");
  config.batch_interval_ms = fields.integer("batch_interval_ms");
  config.priority = fields.integer("priority");
  config.start_sequence_number = fields.integer("start_sequence_number");
  config.disabled = fields.boolean("disabled");
  config.export_format = fields.enumeration("export_format", model::ExportFormat::kJsonBatched);
  config.iot_msg_id_prefix = fields.text("iot_msg_id_prefix");
  config.size_threshold_for_multipart_upload_bytes = fields.integer("size_threshold_bytes");
  if (const Json* status = fields.find("status")) {
    Fields inner(*status);
    model::StatusConfig status_config;
    status_config.status_level = inner.enumeration("level", model::StatusLevel::kTrace);
    status_config.status_stream_name = inner.text("stream");
    if (!inner.problem().empty()) return fail(Errc::kCorrupt, "status: " + inner.problem());
    config.status_config = std::move(status_config);
  }
  if (!fields.problem().empty()) return fail(Errc::kCorrupt, "export: " + fields.problem());
  return config;
}

Result<model::StreamDefinition> definition_from_json(const Json& json) {
  Fields fields(json);
  model::StreamDefinition definition;
  definition.name = fields.required("name", fields.text("name"));
  definition.max_size = fields.integer("max_size");
  definition.stream_segment_size = fields.integer("segment_size");
  definition.time_to_live_ms = fields.integer("time_to_live_ms");
  definition.strategy_on_full = fields.required(
      "strategy_on_full",
      fields.enumeration("strategy_on_full", model::StrategyOnFull::kOverwriteOldestData));
  definition.persistence = fields.enumeration("persistence", model::Persistence::kMemory);
  definition.flush_on_write = fields.boolean("flush_on_write");
  if (const Json* exports = fields.find("exports")) {
    if (!exports->is_array()) return fail(Errc::kCorrupt, "exports is not a list");
    for (const Json& one : *exports) {
      WEIR_TRY(auto config, export_from_json(one));
      definition.exports.push_back(std::move(config));
    }
  }
  if (!fields.problem().empty()) return fail(Errc::kCorrupt, fields.problem());
  return definition;
}

std::string hex(std::uint64_t value, int digits) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%0*llx", digits, static_cast<unsigned long long>(value));
  return text.data();
}

std::string crc_line(std::string_view body) {
  return std::string(kCrcLine) + hex(crc32c(as_bytes(body)), 8) + "\n";
}

Result<StoredDefinition> load_one(file::FileSystem& files, std::string_view directory,
                                  std::string_view name) {
  WEIR_TRY(const ByteVector content,
           file::read_file(files, layout::join(directory, name), kDefinitionBytesMax));
  auto stored = decode_definition(as_text(content));
  if (!stored) return fail(with_context(name, std::move(stored).error()));
  return stored;
}

}  // namespace

std::string encode_definition(const StoredDefinition& stored) {
  const model::StreamDefinition& definition = stored.definition;
  Json inner = {{"name", definition.name},
                {"strategy_on_full", static_cast<int>(definition.strategy_on_full)}};
  put(inner, "max_size", definition.max_size);
  put(inner, "segment_size", definition.stream_segment_size);
  put(inner, "time_to_live_ms", definition.time_to_live_ms);
  put_enum(inner, "persistence", definition.persistence);
  put(inner, "flush_on_write", definition.flush_on_write);
  Json exports = Json::array();
  for (const model::ExportConfig& config : definition.exports) exports.push_back(to_json(config));
  inner["exports"] = std::move(exports);
  const Json outer = {{"format", kFormat},
                      {"id", stored.id.value()},
                      {"identity", hex(stored.identity, 16)},
                      {"definition", std::move(inner)}};
  // A replacement character instead of a throw: names were checked, targets may be anything.
  std::string text = outer.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return text + crc_line(text);
}

Result<StoredDefinition> decode_definition(std::string_view text) {
  const std::size_t crc_at = text.rfind(kCrcLine);
  if (crc_at == std::string_view::npos) return fail(Errc::kCorrupt, "it has no checksum");
  const std::string_view body = text.substr(0, crc_at);
  if (text.substr(crc_at) != crc_line(body)) {
    return fail(Errc::kCorrupt, "its checksum does not match");
  }
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail(Errc::kCorrupt, "it is not JSON");
  Fields fields(json);
  StoredDefinition stored;
  if (fields.required("format", fields.integer("format")) != kFormat) {
    return fail(Errc::kCorrupt, "its format is not one this version knows");
  }
  stored.id = StreamId(static_cast<std::uint64_t>(fields.required("id", fields.integer("id"))));
  const std::string identity = fields.required("identity", fields.text("identity"));
  const Json* definition = fields.find("definition");
  if (definition == nullptr || !fields.problem().empty()) {
    return fail(Errc::kCorrupt, "a field is missing");
  }
  unsigned long long identity_value = 0;
  if (std::sscanf(identity.c_str(), "%16llx", &identity_value) != 1) {
    return fail(Errc::kCorrupt, "its identity is not a number");
  }
  stored.identity = identity_value;
  WEIR_TRY(stored.definition, definition_from_json(*definition));
  return stored;
}

Result<LoadedDefinition> load_definition(file::FileSystem& files, std::string_view directory) {
  auto current = load_one(files, directory, layout::kDefinition);
  if (current) return LoadedDefinition{std::move(*current), false, {}};
  auto previous = load_one(files, directory, layout::kDefinitionBefore);
  if (previous) return LoadedDefinition{std::move(*previous), true, current.error().what};
  return fail(Errc::kCorrupt, "read the definition in " + std::string(directory) + ": " +
                                  current.error().what + "; " + previous.error().what);
}

Result<void> replace_definition(file::FileSystem& files, std::string_view directory,
                                const StoredDefinition& before, const StoredDefinition& after) {
  WEIR_RETURN_IF_ERROR(file::replace_file(files, layout::join(directory, layout::kDefinitionBefore),
                                          as_bytes(encode_definition(before))));
  return file::replace_file(files, layout::join(directory, layout::kDefinition),
                            as_bytes(encode_definition(after)));
}

}  // namespace weir::stream
