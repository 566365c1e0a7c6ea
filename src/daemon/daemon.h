#pragma once

#include "base/result.h"
#include "daemon/config.h"

#include <cstdint>
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

  /// Ordered stop (S5): no new connections, parked reads answered, everything synced, cursors
  /// saved. Blocks, at most about 10 s.
  void stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir::daemon
