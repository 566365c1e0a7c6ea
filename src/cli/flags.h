#pragma once

#include "base/result.h"
#include "cli/client.h"
#include "cli/command_table.h"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::cli {

/// Where the server is, as the command line and the environment say.
struct ConnectionFlags {
  std::string host;       ///< empty: not given
  std::int64_t port = 0;  ///< 0: not given
  std::string token_file;

  /// Their entries in the table, and what was typed for them.
  static std::vector<Flag> flags();
  static ConnectionFlags from(const Arguments& arguments);
  /// With the token read. Errors: the token file cannot be read, the environment names no port.
  [[nodiscard]] Result<Endpoint> endpoint() const;
};

/// Says on standard error what failed and returns the exit status for it.
int failed(const Error& error);

}  // namespace weir::cli
