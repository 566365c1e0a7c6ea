#pragma once

#include "greengrass/component.h"
#include "greengrass/session.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The JSON of requests to the nucleus and of its answers (protocol.md §9.2). Pure.
namespace weir::greengrass {

/// Whether the nucleus can be asked about such a token at all: one line of printable ASCII.
bool is_plausible_token(const std::string& token);

std::string validate_token_request(const std::string& token);
/// What an answer to it means, and why, in words.
std::pair<TokenVerdict, std::string> token_verdict(const Answer& answer);

std::string state_request(const std::string& state);

std::string get_port_request();
/// The port in an answer to it; none if there is none.
std::optional<std::int64_t> port_of(const Answer& answer);
std::string set_port_request(std::uint16_t port, std::int64_t wall_ms);

struct Delta {
  std::string name;
  std::uint64_t bytes = 0;
};
std::string metrics_request(const std::vector<Delta>& deltas);
/// The answer says that this nucleus has no such operation, or not for us: nucleus lite has none,
/// and answers with a ServiceError that has no words.
bool is_unsupported(const Answer& answer);

}  // namespace weir::greengrass
