#include "cli/flags.h"

#include "cli/output.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace weir::cli {

void ConnectionFlags::add_to(CLI::App& command) {
  command.add_option("--host", host, "Where the server is.")
      ->envname("STREAM_MANAGER_SERVER_HOST")
      ->capture_default_str()
      ->group("Connection");
  command.add_option("--port", port, "Its port for programs.")
      ->envname("STREAM_MANAGER_SERVER_PORT")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str()
      ->group("Connection");
  command
      .add_option("--token-file", token_file,
                  "File with the client's token. Without it: AWS_CONTAINER_AUTHORIZATION_TOKEN.")
      ->group("Connection");
}

Result<Endpoint> ConnectionFlags::endpoint() const {
  Endpoint endpoint{host, port, {}};
  if (token_file.empty()) {
    // Nothing else runs in this process yet that could change the environment.
    const char* token =
        std::getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");  // NOLINT(concurrency-mt-unsafe)
    if (token != nullptr) endpoint.token = token;
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
