#include "cli/flags.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/output.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace weir::cli {
namespace {

// Empty counts as unset, as in the SDKs.
std::string environment(const char* name) {
  // Nothing else runs in this process yet that could change the environment.
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string{} : std::string{value};
}

Result<std::int64_t> port_from(const std::string& text) {
  std::int64_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc{} || stop != end || port < 1 || port > 65535) {
    return fail(Errc::kInvalidArgument,
                "STREAM_MANAGER_SERVER_PORT is '" + log::escaped(text, 64) +
                    "', which is no port; set it to 1 to 65535, or use --port");
  }
  return port;
}

}  // namespace

std::vector<Flag> ConnectionFlags::flags() {
  return {{.names = "--host",
           .value = "HOST",
           .text = "Where the server is. Default: STREAM_MANAGER_SERVER_HOST, else 127.0.0.1.",
           .group = "Connection"},
          {.names = "--port",
           .value = "PORT",
           .text = "Its port for programs. Default: STREAM_MANAGER_SERVER_PORT, else 8088.",
           .kind = Kind::kPort,
           .group = "Connection"},
          {.names = "--token-file",
           .value = "FILE",
           .text = "File with the client's token. Without it: AWS_CONTAINER_AUTHORIZATION_TOKEN.",
           .kind = Kind::kFile,
           .group = "Connection"}};
}

ConnectionFlags ConnectionFlags::from(const Arguments& arguments) {
  return {arguments.text("--host"), arguments.number("--port"), arguments.text("--token-file")};
}

Result<Endpoint> ConnectionFlags::endpoint() const {
  Endpoint endpoint;
  if (const std::string named = environment("STREAM_MANAGER_SERVER_HOST"); !named.empty()) {
    endpoint.host = named;
  }
  if (!host.empty()) endpoint.host = host;
  if (port != 0) {
    endpoint.port = port;
  } else if (const std::string named = environment("STREAM_MANAGER_SERVER_PORT"); !named.empty()) {
    WEIR_TRY(endpoint.port, port_from(named));
  }
  if (token_file.empty()) {
    endpoint.token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    return endpoint;
  }
  std::ifstream file(token_file);
  if (!file) return fail(os_error("read the token from " + token_file, errno));
  endpoint.token.assign(std::istreambuf_iterator<char>(file), {});
  while (endpoint.token.ends_with('\n') || endpoint.token.ends_with('\r')) {
    endpoint.token.pop_back();
  }
  return endpoint;
}

int failed(const Error& error) {
  if (error.code != Errc::kCancelled) complain(error.what);
  return error.code == Errc::kCancelled ? 130 : kFailed;
}

}  // namespace weir::cli
