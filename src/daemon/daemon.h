#pragma once

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/reloader.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace weir::daemon {

/// The whole of weir, running: constructs its parts in order, stops and destroys them in reverse.
///
/// Threads: `start`, `stop` and the destructor on one thread; the rest from any.
class Daemon {
 public:
  /// Opens the store, creates the streams of the configuration and accepts connections.
  /// Errors (reliability.md S1): one clear line each. Blocks: on disk.
  static Result<std::unique_ptr<Daemon>> start(Config config);

  /// Stops if `stop` was not called.
  ~Daemon();

  [[nodiscard]] std::uint16_t server_port() const;
  [[nodiscard]] int admin_port() const;  ///< -1 = none
  [[nodiscard]] std::string store_directory() const;
  /// What /status answers.
  [[nodiscard]] std::string status() const;

  /// From now on the core thread calls `sign` with each of its heartbeats, about once a second: it
  /// is heard of only while that thread does its work. `sign` must not block.
  void at_heartbeat(std::function<void()> sign);

  /// From now on `reload` and POST /reload read these sources again; `tell`, on a thread of weir's
  /// own, hears when that begins (true) and ends (false).
  void reload_from(const ConfigSources& sources, std::function<void(bool busy)> tell = {});
  /// Reads the configuration again and applies what can change while running; see `Reloader`.
  /// Does not block.
  void reload(Reloader::Done done);

  /// Ordered stop (S5): no new connections, parked reads answered, everything synced, cursors
  /// saved. Blocks, at most about 10 s.
  void stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir::daemon
