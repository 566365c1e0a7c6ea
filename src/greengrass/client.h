#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "greengrass/session.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace weir::greengrass {

/// Requests that are under way or wait, all kinds together. Each is a few kilobytes at most.
inline constexpr std::size_t kRequestsMax = 256;

/// A connection to the nucleus over its Unix socket that comes back by itself.
///
/// Threads: one of its own, on which `Answered` and the ticker are called; they must not block.
/// The methods from any thread.
class Client {
 public:
  struct Options {
    std::string socket;      ///< a path; relative ones are relative to the working directory
    std::string auth_token;  ///< SVCUID
    Duration backoff_first = std::chrono::milliseconds(200);
    Duration backoff_ceiling = std::chrono::seconds(10);
    std::uint64_t seed = 0;  ///< of the backoff's jitter
  };
  /// Called before each wait, for work at intervals; returns when it has something to do.
  using Ticker = std::function<Instant(Instant now)>;

  /// `metrics` outlives the client.
  static std::unique_ptr<Client> make(Options options, metrics::Registry& metrics);

  virtual ~Client() = default;

  /// Begins to connect. Call once; what is asked before waits.
  virtual void start(Ticker ticker) = 0;

  /// Asks; `done` is called exactly once, on the client's thread, within `patience` or soon after.
  /// False: `kRequestsMax` requests are under way already, or `stop` was called; nothing was taken.
  virtual bool ask(std::string operation, std::string payload, Duration patience,
                   Answered done) = 0;

  /// Why there is no connection, in words; empty while the nucleus accepts weir.
  [[nodiscard]] virtual std::string trouble() const = 0;

  /// Gives what was asked `patience` to be answered, then ends the thread. Idempotent.
  virtual void stop(Duration patience) = 0;
};

}  // namespace weir::greengrass
