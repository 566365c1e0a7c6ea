#pragma once

#include <cstdint>
#include <string>

namespace weir::greengrass {

/// What the nucleus gave to the component it started, and how weir deals with it.
struct Options {
  std::string socket;  ///< AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT; empty: no nucleus
  std::string auth_token;                       ///< SVCUID
  std::int64_t answer_timeout_ms = 5'000;       ///< below the 10 s that clients wait to be let in
  std::int64_t telemetry_interval_ms = 60'000;  ///< protocol.md U-29
  [[nodiscard]] bool present() const { return !socket.empty() && !auth_token.empty(); }
};

}  // namespace weir::greengrass
