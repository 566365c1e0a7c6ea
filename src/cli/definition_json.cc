#include "cli/definition_json.h"

#include "protocol/codec.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// What `describe` would answer, read as JSON.
template <class Json>
Json info_payload(const model::StreamInfo& info) {
  ByteBuffer frame;
  protocol::encode_describe_response("info", info, frame);
  const Bytes payload = frame.bytes().subspan(protocol::kFrameHeadBytes);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(payload.data());
  return Json::from_cbor(begin, begin + payload.size()).at("messageStreamInfo");
}

/// The path of the first key of `given` that `known` does not have; empty if there is none.
std::string unknown_key(const json& given, const json& known, const std::string& path) {
  if (given.is_object() && known.is_object()) {
    for (const auto& [key, value] : given.items()) {
      std::string inner = path;
      if (!inner.empty()) inner += '.';
      inner += key;
      if (value.is_null()) continue;  // the same as absent, and not echoed
      if (!known.contains(key)) return inner;
      if (auto found = unknown_key(value, known.at(key), inner); !found.empty()) return found;
    }
  }
  if (given.is_array() && known.is_array() && given.size() == known.size()) {
    for (std::size_t i = 0; i < given.size(); ++i) {
      auto found = unknown_key(given[i], known[i], fmt::format("{}[{}]", path, i));
      if (!found.empty()) return found;
    }
  }
  return {};
}

/// Spelled as this program sends it.
void rename_synonyms(json& definition) {
  const auto exports = definition.find("exportDefinition");
  if (exports == definition.end() || !exports->is_object()) return;
  for (const char* synonym : {"iotSitewise", "iotSiteWise"}) {
    if (!exports->contains(synonym) || exports->contains("IotSitewise")) continue;
    (*exports)["IotSitewise"] = std::move((*exports)[synonym]);
    exports->erase(synonym);
  }
}

}  // namespace

Result<model::StreamDefinition> definition_from_json(std::string_view text) {
  json given;
  try {
    given = json::parse(text);
  } catch (const json::exception& error) {
    return fail(Errc::kInvalidArgument, fmt::format("not valid JSON: {}", error.what()));
  }
  // What `weir stream info -o json` prints is accepted as it is.
  if (given.is_object() && given.contains("definition")) given = json(given.at("definition"));
  if (!given.is_object()) return fail(Errc::kInvalidArgument, "a definition is a JSON object");
  rename_synonyms(given);

  // The decoder of requests knows every rule; it only has to be handed a request.
  const auto cbor = json::to_cbor({{"requestId", "file"}, {"definition", given}});
  protocol::DecodeScratch scratch;
  auto request = protocol::decode_request(protocol::Operation::kCreateMessageStream,
                                          std::as_bytes(std::span(cbor)), scratch);
  if (!request) return fail(Errc::kInvalidArgument, std::move(request).error().reason);
  model::StreamInfo info;
  info.definition = std::get<protocol::CreateRequest>(std::move(*request)).definition;
  const json known = info_payload<json>(info).at("definition");
  if (const std::string key = unknown_key(given, known, "definition"); !key.empty()) {
    return fail(Errc::kInvalidArgument, key + ": unknown key");
  }
  return std::move(info.definition);
}

ordered_json info_to_json(const model::StreamInfo& info) {
  return info_payload<ordered_json>(info);
}

}  // namespace weir::cli
