#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "greengrass/options.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::greengrass {

/// A client's token, as the nucleus judges it.
enum class TokenVerdict : std::uint8_t {
  kGood,
  kBad,
  kUnchecked,  ///< the nucleus could not be asked, did not answer, or failed
  kNotOurs,    ///< it tells nobody but the component aws.greengrass.StreamManager
};

/// One figure of telemetry: a total that only grows while the process runs.
struct Figure {
  std::string_view name;  ///< as the original calls it, at most 32 bytes
  std::uint64_t total = 0;
};

/// How it stands with the nucleus, for people.
struct View {
  std::string socket;
  std::string trouble;  ///< why there is no connection; empty: there is one
};

/// weir as a component of a Greengrass nucleus, classic or lite (protocol.md §8.4, §9): it tells
/// its state and its port, asks about tokens and reports telemetry.
///
/// Threads: any, except `announce` and `stop`, which are for one. Never blocks but where said.
class Component {
 public:
  struct Environment {
    metrics::Registry& metrics;
    const Clock& clock;  ///< the wall clock dates what is written into the configuration
    /// The totals at present. Called on the component's thread; must not block.
    std::function<std::vector<Figure>()> figures;
    std::uint64_t seed = 0;
  };
  /// Everything in `environment` outlives the component.
  static std::unique_ptr<Component> start(Options options, Environment environment);

  virtual ~Component() = default;

  /// Clients can connect on `port` from now on: makes it known where applications look for it, then
  /// reports RUNNING. A port that was chosen freely is published in any case; one that is fixed
  /// only if an older one is still there. Both go on in the background until the nucleus answers.
  /// Blocks: until the port is known there, at most `answer_timeout_ms`, and only if it was chosen
  /// freely, so that nobody is told that weir is ready while its port cannot be found.
  virtual void announce(std::uint16_t port, bool chosen_freely) = 0;

  /// `why` is for the log and holds no token. `done` is called exactly once, at once or on the
  /// component's thread.
  using Judged = std::function<void(TokenVerdict verdict, std::string why)>;
  virtual void judge(const std::string& token, Judged done) = 0;

  [[nodiscard]] virtual View view() const = 0;

  /// Reports the last figures if the nucleus answers within half a second, then ends. Idempotent.
  virtual void stop() = 0;
};

}  // namespace weir::greengrass
