#pragma once

#include "base/result.h"
#include "cli/command_table.h"
#include "cli/http_get.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace weir::cli {

/// Where weir's port for operators is, and how to prove that one may give orders there.
struct AdminFlags {
  std::string host = "127.0.0.1";
  std::int64_t port = 8089;
  std::string token_file;  ///< "": where the running weir says it is

  /// Their entries in the table, for commands that only look and for those that give orders.
  static std::vector<Flag> flags();
  static std::vector<Flag> order_flags();
  static AdminFlags from(const Arguments& arguments);
};

/// Sends one order for an export (POST /exports) and returns the sentence that answers it. Errors
/// carry what to do; kConflict: it has to be confirmed. Blocks, at most about 15 s.
Result<std::string> give_export_order(const AdminFlags& flags, const nlohmann::json& order);

/// Sends `body` to a page that takes orders, with the token. Any answer is a result but that the
/// token is not taken. Blocks, at most about 15 s.
Result<HttpAnswer> post_order(const AdminFlags& flags, const std::string& path,
                              const std::string& body);

/// The token for orders, from the file that was named or that the running weir names. Errors say
/// who can read it.
Result<std::string> admin_token(const AdminFlags& flags);

/// The status document. Errors as `http_get`.
Result<nlohmann::json> ask_status(const AdminFlags& flags);

}  // namespace weir::cli
