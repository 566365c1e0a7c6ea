#pragma once

#include "base/result.h"
#include "cli/client.h"

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace weir::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

/// Where the server is, as the command line and the environment say.
struct ConnectionFlags {
  std::string host;       ///< empty: not given
  std::int64_t port = 0;  ///< 0: not given
  std::string token_file;

  void add_to(CLI::App& command);
  /// With the token read. Errors: the token file cannot be read, the environment names no port.
  [[nodiscard]] Result<Endpoint> endpoint() const;
};

/// Says on standard error what failed and returns the exit status for it.
int failed(const Error& error);

}  // namespace weir::cli
