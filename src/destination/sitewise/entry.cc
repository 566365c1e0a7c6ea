#include "destination/sitewise/entry.h"

#include "destination/json_text.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace weir::destination::sitewise {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kEntryIdCharactersMax = 64;
constexpr std::size_t kAliasCharactersMax = 2048;
constexpr std::size_t kAssetIdCharactersMax = 139;  // "externalId:" and 128 characters
constexpr std::size_t kStringValueCharactersMax = 1024;
constexpr std::size_t kValuesMax = 10;
// What the service takes has below 160 KiB: 10 texts of 1,024 characters and the names, with every
// character written as an escape of 12 bytes. The rest is for blanks and members it does not know.
// A document grows in memory by a factor of 20 and more, so it is not read beyond this.
constexpr std::size_t kEntryBytesMax = 256 * 1024;
constexpr std::int64_t kSecondsMax = 9'223'372'036'854'774;
constexpr std::int64_t kNanosMax = 999'999'999;

tl::unexpected<Error> bad(std::string what) {
  return fail(Errc::kInvalidArgument, "not an entry for IoT SiteWise: " + std::move(what));
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// The member, or null when there is none or it is null.
const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> text_of(const Json& value, const char* name, std::size_t characters_max) {
  if (!value.is_string()) return bad(std::string(name) + " is not a string");
  auto text = value.get<std::string>();
  if (text.empty() || characters(text) > characters_max) {
    return bad(std::string(name) + " must have 1 to " + std::to_string(characters_max) +
               " characters");
  }
  if (has_control_characters(text)) return bad(std::string(name) + " has control characters");
  return text;
}

Result<std::int64_t> integer_of(const Json& value, const char* name, std::int64_t min,
                                std::int64_t max) {
  std::int64_t number = 0;
  const bool fits_unsigned =
      value.is_number_unsigned() &&
      value.get<std::uint64_t>() <=
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (fits_unsigned || (value.is_number_integer() && !value.is_number_unsigned())) {
    number = value.get<std::int64_t>();
  } else {
    return bad(std::string(name) + " is not a whole number");
  }
  if (number < min || number > max) {
    return bad(std::string(name) + " must be from " + std::to_string(min) + " to " +
               std::to_string(max));
  }
  return number;
}

void append_text(std::string& to, std::string_view text) {
  ByteBuffer quoted;
  append_json_text(quoted, text);
  ((to += '"') += as_text(quoted.bytes())) += '"';
}

Result<std::string> read_double(const Json& value) {
  if (value.is_number()) return value.dump();
  if (value.is_string() && value.get<std::string>() == "NaN") return std::string("\"NaN\"");
  return bad("doubleValue is not a number");
}

Result<std::string> read_null(const Json& value) {
  const Json* type = value.is_object() ? member(value, "valueType") : nullptr;
  const bool known =
      type != nullptr && type->is_string() && type->get<std::string>().size() == 1 &&
      std::string_view("DBSIU").find(type->get<std::string>()) != std::string_view::npos;
  if (!known) return bad("nullValue needs a valueType of D, B, S, I or U");
  return "{\"valueType\":\"" + type->get<std::string>() + "\"}";
}

// The text of one kind of value.
Result<std::string> read_variant(std::string_view kind, const Json& value) {
  if (kind == "doubleValue") return read_double(value);
  if (kind == "nullValue") return read_null(value);
  if (kind == "booleanValue") {
    if (!value.is_boolean()) return bad("booleanValue is not true or false");
    return std::string(value.get<bool>() ? "true" : "false");
  }
  if (kind == "integerValue") {
    WEIR_TRY(const std::int64_t number,
             integer_of(value, "integerValue", std::numeric_limits<std::int32_t>::min(),
                        std::numeric_limits<std::int32_t>::max()));
    return std::to_string(number);
  }
  WEIR_TRY(const std::string text, text_of(value, "stringValue", kStringValueCharactersMax));
  std::string out;
  append_text(out, text);
  return out;
}

// {"doubleValue":1.5}: exactly one kind must be there.
Result<std::string> read_value(const Json& value) {
  if (!value.is_object()) return bad("a value is not an object");
  std::string out;
  for (const char* kind :
       {"stringValue", "integerValue", "doubleValue", "booleanValue", "nullValue"}) {
    const Json* variant = member(value, kind);
    if (variant == nullptr) continue;
    if (!out.empty()) return bad("a value has more than one of stringValue, doubleValue, ...");
    WEIR_TRY(const std::string text, read_variant(kind, *variant));
    out = "{\"" + std::string(kind) + "\":" + text + "}";
  }
  if (out.empty()) return bad("a value has none of stringValue, doubleValue, ...");
  return out;
}

struct TimedValue {
  Timestamp at;
  std::string json;
};

Result<TimedValue> read_timed_value(const Json& item) {
  if (!item.is_object()) return bad("one of propertyValues is not an object");
  const Json* value = member(item, "value");
  const Json* time = member(item, "timestamp");
  if (value == nullptr) return bad("one of propertyValues has no value");
  if (time == nullptr || !time->is_object()) return bad("one of propertyValues has no timestamp");
  const Json* seconds = member(*time, "timeInSeconds");
  if (seconds == nullptr) return bad("a timestamp has no timeInSeconds");
  TimedValue out;
  WEIR_TRY(out.at.seconds, integer_of(*seconds, "timeInSeconds", 1, kSecondsMax));
  WEIR_TRY(const std::string variant, read_value(*value));
  out.json = "{\"value\":" + variant +
             ",\"timestamp\":{\"timeInSeconds\":" + std::to_string(out.at.seconds);
  if (const Json* nanos = member(*time, "offsetInNanos")) {
    WEIR_TRY(out.at.nanos, integer_of(*nanos, "offsetInNanos", 0, kNanosMax));
    out.json += ",\"offsetInNanos\":" + std::to_string(out.at.nanos);
  }
  out.json += "}";
  if (const Json* quality = member(item, "quality")) {
    const std::string text = quality->is_string() ? quality->get<std::string>() : std::string();
    if (text != "GOOD" && text != "BAD" && text != "UNCERTAIN") {
      return bad("quality is not GOOD, BAD or UNCERTAIN");
    }
    out.json += ",\"quality\":\"" + text + "\"";
  }
  out.json += "}";
  return out;
}

Result<void> read_values(const Json& document, Entry& entry) {
  const Json* values = member(document, "propertyValues");
  if (values == nullptr || !values->is_array() || values->empty()) {
    return bad("it has no propertyValues");
  }
  if (values->size() > kValuesMax) {
    return bad("it has " + std::to_string(values->size()) +
               " propertyValues; at most 10 are allowed");
  }
  std::map<Timestamp, std::size_t> known;
  std::vector<TimedValue> kept;
  for (const Json& item : *values) {
    WEIR_TRY(TimedValue value, read_timed_value(item));
    const auto [at, fresh] = known.try_emplace(value.at, kept.size());
    if (fresh) {
      kept.push_back(std::move(value));
    } else {
      kept[at->second] = std::move(value);
    }
  }
  const char* separator = ",\"propertyValues\":[";
  for (const TimedValue& value : kept) {
    (entry.json += separator) += value.json;
    entry.timestamps.push_back(value.at);
    separator = ",";
  }
  entry.json += "]}";
  return {};
}

Result<void> read_identity(const Json& document, Entry& entry) {
  const Json* alias = member(document, "propertyAlias");
  const Json* asset = member(document, "assetId");
  const Json* property = member(document, "propertyId");
  if (alias == nullptr && (asset == nullptr || property == nullptr)) {
    return bad("it names no property: propertyAlias, or assetId and propertyId");
  }
  const auto take = [&entry](const Json* value, const char* name,
                             std::size_t characters_max) -> Result<void> {
    if (value == nullptr) return {};
    WEIR_TRY(const std::string text, text_of(*value, name, characters_max));
    ((entry.json += ",\"") += name) += "\":";
    append_text(entry.json, text);
    ((entry.property += name) += '\n') += text;
    return {};
  };
  WEIR_RETURN_IF_ERROR(take(asset, "assetId", kAssetIdCharactersMax));
  WEIR_RETURN_IF_ERROR(take(property, "propertyId", kAssetIdCharactersMax));
  return take(alias, "propertyAlias", kAliasCharactersMax);
}

}  // namespace

Result<Entry> read_entry(Bytes payload) {
  if (payload.size() > kEntryBytesMax) {
    return bad("it has " + std::to_string(payload.size()) + " bytes; at most " +
               std::to_string(kEntryBytesMax) + " are allowed");
  }
  const auto text = as_text(payload);
  const Json document = Json::parse(text.begin(), text.end(), nullptr, false);
  if (document.is_discarded()) return bad("it is not JSON");
  if (!document.is_object()) return bad("it is not a JSON object");
  Entry entry;
  const Json* id = member(document, "entryId");
  if (id == nullptr) return bad("it has no entryId");
  WEIR_TRY(entry.id, text_of(*id, "entryId", kEntryIdCharactersMax));
  const bool plain = std::all_of(entry.id.begin(), entry.id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (!plain) return bad("entryId has other characters than letters, digits, '_' and '-'");
  entry.json = "{\"entryId\":\"" + entry.id + "\"";
  WEIR_RETURN_IF_ERROR(read_identity(document, entry));
  WEIR_RETURN_IF_ERROR(read_values(document, entry));
  return entry;
}

ByteBuffer batch_put_body(const std::vector<const Entry*>& entries) {
  ByteBuffer body;
  const char* separator = "{\"entries\":[";
  for (const Entry* entry : entries) {
    body.append(as_bytes(separator));
    body.append(as_bytes(entry->json));
    separator = ",";
  }
  body.append(as_bytes("],\"enablePartialEntryProcessing\":true}"));
  return body;
}

}  // namespace weir::destination::sitewise
