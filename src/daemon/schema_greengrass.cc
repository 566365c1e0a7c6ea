#include "daemon/schema.h"
#include "daemon/schema_builder.h"

namespace weir::daemon {

using build::integer;
using build::section;

// What a client waits for to be let in (server.handshake_timeout_ms) must be more than the first.
Key greengrass_section() {
  constexpr std::int64_t kHourMs = 3'600'000;
  return section(
      "greengrass",
      "Only where a Greengrass nucleus starts weir as a component; see docs/greengrass.md.",
      {
          integer(
              "answer_timeout_ms",
              "How long the nucleus may take to answer. A client whose token it does not judge in "
              "this time is told to try again.",
              100, 9'000, [](Config & c) -> auto& { return c.greengrass.answer_timeout_ms; }),
          integer(
              "telemetry_interval_ms",
              "How often bytes appended and uploaded are reported to the nucleus, which sums them "
              "up by the hour.",
              100, kHourMs, [](Config & c) -> auto& { return c.greengrass.telemetry_interval_ms; }),
      });
}

}  // namespace weir::daemon
