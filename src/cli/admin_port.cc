#include "cli/admin_port.h"

#include "base/log.h"
#include "cli/http_get.h"
#include "cli/status.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

Result<std::string> token_of(const AdminFlags& flags) {
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

}  // namespace

void AdminFlags::add_to(CLI::App& command) {
  command.add_option("--admin-host", host, "Where weir is.")
      ->capture_default_str()
      ->group("Connection");
  command.add_option("--admin-port", port, "Its port for operators.")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str()
      ->group("Connection");
  command
      .add_option("--admin-token-file", token_file,
                  "File with the token for orders. Default: the one in weir's store.")
      ->group("Connection");
}

Result<json> ask_status(const AdminFlags& flags) {
  WEIR_TRY(const std::string body, http_get(flags.host, flags.port, "/status"));
  return parse_status(body);
}

Result<std::string> give_export_order(const AdminFlags& flags, const json& order) {
  WEIR_TRY(const std::string token, token_of(flags));
  WEIR_TRY(const HttpAnswer answer,
           http_post(flags.host, flags.port, "/exports",
                     order.dump(-1, ' ', false, json::error_handler_t::replace), token));
  const json document = json::parse(answer.body, nullptr, false);
  const auto text = [&](const char* name) -> std::string {
    if (!document.is_object()) return {};
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (answer.status == 200) return text("done");
  if (answer.status == 401) {
    return fail(Errc::kUnavailable,
                "weir does not take the token; it writes a new one each time it starts");
  }
  std::string why = log::escaped(text("error"), 4096);
  if (why.empty()) why = fmt::format("weir answered {}", answer.status);
  return fail(answer.status == 409   ? Errc::kConflict
              : answer.status == 404 ? Errc::kNotFound
                                     : Errc::kUnavailable,
              std::move(why));
}

}  // namespace weir::cli
