#pragma once

#include <memory>

namespace CLI {
class App;
}

namespace weir::cli {

/// The subcommands that talk to a running weir, or to any other server of the protocol: `stream`,
/// `pub`, `sub`, `status` and `demo`. They run while the program's command line is being parsed.
class Commands {
 public:
  /// Adds them to `app`, which must not be used after this object is gone.
  explicit Commands(CLI::App& app);
  ~Commands();
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  /// Exit status of the one that ran: 0 ok, 1 failed, 2 usage; 0 if none ran.
  [[nodiscard]] int status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir::cli
