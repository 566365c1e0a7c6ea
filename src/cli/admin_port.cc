#include "cli/admin_port.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/http_get.h"
#include "cli/status.h"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

}  // namespace

std::vector<Flag> AdminFlags::flags() {
  return {{.names = "--admin-host,--host",
           .value = "HOST",
           .text = "Where weir is.",
           .fallback = "127.0.0.1",
           .group = "Connection"},
          {.names = "--admin-port",
           .value = "PORT",
           .text = "Its port for operators.",
           .kind = Kind::kPort,
           .fallback = "8089",
           .group = "Connection"}};
}

std::vector<Flag> AdminFlags::order_flags() {
  auto all = flags();
  all.front().names = "--admin-host";  // --host is where programs connect
  all.push_back({.names = "--admin-token-file",
                 .value = "FILE",
                 .text = "File with the token for orders. Default: the one in weir's store.",
                 .kind = Kind::kFile,
                 .group = "Connection"});
  return all;
}

AdminFlags AdminFlags::from(const Arguments& arguments) {
  AdminFlags flags;
  flags.host = arguments.text("--admin-host");
  flags.port = arguments.number("--admin-port");
  if (arguments.knows("--admin-token-file")) {
    flags.token_file = arguments.text("--admin-token-file");
  }
  return flags;
}

Result<std::string> admin_token(const AdminFlags& flags) {
  std::string path = flags.token_file;
  if (path.empty()) {
    WEIR_TRY(const json status, ask_status(flags));
    const auto found = status.find("admin");
    if (found != status.end() && found->is_object()) path = found->value("token_file", "");
    if (path.empty()) {
      return fail(Errc::kUnavailable,
                  "this weir takes no orders: it could not write its token; its log says why");
    }
  }
  std::ifstream file(path);
  std::string token;
  if (!file || !std::getline(file, token) || token.empty()) {
    return fail(Errc::kUnavailable,
                fmt::format("read the token from '{}': {}; orders are taken from whoever can read "
                            "the store: run this as weir's user, or name a copy with "
                            "--admin-token-file",
                            log::escaped(path), os_error("open", errno).what));
  }
  return token;
}

Result<json> ask_status(const AdminFlags& flags) {
  WEIR_TRY(const std::string body, http_get(flags.host, flags.port, "/status"));
  return parse_status(body);
}

Result<HttpAnswer> post_order(const AdminFlags& flags, const std::string& path,
                              const std::string& body) {
  WEIR_TRY(const std::string token, admin_token(flags));
  WEIR_TRY(const HttpAnswer answer, http_post(flags.host, flags.port, path, body, token));
  if (answer.status == 401) {
    return fail(Errc::kUnavailable,
                "weir does not take the token; it writes a new one each time it starts");
  }
  return answer;
}

Result<std::string> give_export_order(const AdminFlags& flags, const json& order) {
  WEIR_TRY(
      const HttpAnswer answer,
      post_order(flags, "/exports", order.dump(-1, ' ', false, json::error_handler_t::replace)));
  const json document = json::parse(answer.body, nullptr, false);
  const auto text = [&](const char* name) -> std::string {
    if (!document.is_object()) return {};
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (answer.status == 200) return text("done");
  std::string why = log::escaped(text("error"), 4096);
  if (why.empty()) why = fmt::format("weir answered {}", answer.status);
  return fail(answer.status == 409   ? Errc::kConflict
              : answer.status == 404 ? Errc::kNotFound
                                     : Errc::kUnavailable,
              std::move(why));
}

}  // namespace weir::cli
