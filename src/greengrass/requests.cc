#include "greengrass/requests.h"

#include "base/ascii.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace weir::greengrass {
namespace {

using nlohmann::json;

constexpr std::size_t kTokenBytesMax = 4 * 1024;
constexpr double kMsPerSecond = 1000.0;

std::string reason_of(const Answer& answer) {
  return answer.kind == Answer::Kind::kRefused
             ? fmt::format("the nucleus answered {}: {}", answer.error, answer.text)
             : answer.text;
}

}  // namespace

bool is_plausible_token(const std::string& token) {
  return !token.empty() && token.size() <= kTokenBytesMax &&
         std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string validate_token_request(const std::string& token) {
  return json{{"token", token}}.dump();
}

std::pair<TokenVerdict, std::string> token_verdict(const Answer& answer) {
  if (answer.kind == Answer::Kind::kRefused) {
    if (answer.error == "InvalidTokenError") return {TokenVerdict::kBad, "the token is not known"};
    if (answer.error == "UnauthorizedError") {
      return {TokenVerdict::kNotOurs,
              "the nucleus tells only the component aws.greengrass.StreamManager whether a token "
              "is good; deploy weir under that name"};
    }
  }
  if (answer.kind != Answer::Kind::kOk) return {TokenVerdict::kUnchecked, reason_of(answer)};
  const json parsed = json::parse(answer.text, nullptr, false);
  const auto found = parsed.is_object() ? parsed.find("isValid") : parsed.end();
  if (!parsed.is_object() || found == parsed.end() || !found->is_boolean()) {
    return {TokenVerdict::kUnchecked, "the nucleus answered without saying whether it is valid"};
  }
  if (found->get<bool>()) return {TokenVerdict::kGood, {}};
  return {TokenVerdict::kBad, "the token is not known"};
}

std::string state_request(const std::string& state) { return json{{"state", state}}.dump(); }

std::string get_port_request() { return json{{"keyPath", json::array({"port"})}}.dump(); }

std::optional<std::int64_t> port_of(const Answer& answer) {
  if (answer.kind != Answer::Kind::kOk) return std::nullopt;
  const json parsed = json::parse(answer.text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("value")) return std::nullopt;
  // A single value comes as a map with its own name, or as itself.
  const json& outer = parsed["value"];
  const json& value = outer.is_object() && outer.contains("port") ? outer["port"] : outer;
  double number = -1;
  if (value.is_number()) {
    number = value.get<double>();
  } else if (value.is_string()) {
    const auto text = value.get<std::string>();
    char* end = nullptr;
    number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') return std::nullopt;
  }
  constexpr double kPortMax = std::numeric_limits<std::uint16_t>::max();
  if (!(number >= 0 && number <= kPortMax) || std::floor(number) != number) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::string set_port_request(std::uint16_t port, std::int64_t wall_ms) {
  // Seconds with a fraction, always written with a point: nucleus lite takes no other number here.
  return json{{"keyPath", json::array()},
              {"valueToMerge", {{"port", port}}},
              {"timestamp", static_cast<double>(wall_ms) / kMsPerSecond}}
      .dump();
}

std::string metrics_request(const std::vector<Delta>& deltas) {
  json metrics = json::array();
  for (const Delta& delta : deltas) {
    metrics.push_back(
        {{"name", delta.name}, {"unit", "BYTES"}, {"value", static_cast<double>(delta.bytes)}});
  }
  return json{{"metrics", std::move(metrics)}}.dump();
}

bool is_unsupported(const Answer& answer) {
  if (answer.kind != Answer::Kind::kRefused) return false;
  const bool says_so = ascii_lower(answer.error).find("unsupported") != std::string::npos ||
                       ascii_lower(answer.text).find("unsupported") != std::string::npos;
  return says_so || answer.error == "UnauthorizedError" ||
         (answer.error == "ServiceError" && answer.text.empty());
}

}  // namespace weir::greengrass
