#include "protocol/codec.h"

#include <algorithm>
#include <array>
#include <optional>

namespace weir::protocol {
namespace {

using Triple = std::array<std::uint32_t, 3>;
constexpr std::uint32_t kPartMax = 1'000'000;  // larger numbers compare as this

/// `text` as digits.digits.digits; none if it is anything else.
std::optional<Triple> parse_version(std::string_view text) {
  Triple triple{};
  for (std::size_t part = 0; part < triple.size(); ++part) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      const auto digit = static_cast<std::uint32_t>(text[digits++] - '0');
      triple.at(part) = std::min(triple.at(part) * 10 + digit, kPartMax);
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    if (part < 2) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty()) return std::nullopt;
  return triple;
}

std::optional<Version> spoken(const std::optional<Triple>& wanted) {
  if (wanted == Triple{1, 1, 0}) return Version::k1_1_0;
  if (wanted == Triple{1, 0, 0}) return Version::k1_0_0;
  return std::nullopt;
}

}  // namespace

Negotiated negotiate(const ConnectRequest& request) {
  const auto wanted =
      request.protocol_version ? parse_version(*request.protocol_version) : std::nullopt;
  if (!wanted) return {std::nullopt, Status::kInvalidProtocolVersion};
  if (const auto version = spoken(wanted)) return {version, Status::kSuccess};
  std::optional<Version> best;
  for (const std::string& other : request.other_supported_protocol_versions) {
    const auto version = spoken(parse_version(other));
    if (version && (!best || *version > *best)) best = version;
  }
  if (best) return {best, Status::kSuccess};
  // A client of our major version that is newer than we are carries on with what we speak.
  if ((*wanted)[0] == 1 && (*wanted)[1] > 1) return {Version::k1_1_0, Status::kSuccess};
  return {std::nullopt, Status::kUnsupportedProtocolVersion};
}

}  // namespace weir::protocol
