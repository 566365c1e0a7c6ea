#include "daemon/denied_paths.h"

namespace weir::daemon {

std::vector<std::string> denied_paths(const Config& config) {
  std::vector<std::string> paths = {config.store_directory, "/etc/weir"};
  const auto add = [&paths](const std::string& path) {
    if (!path.empty()) paths.push_back(path);
  };
  for (const std::string& file : config.files) add(file);
  add(config.tokens_file);
  add(config.aws.iot.private_key_file);
  add(config.export_defaults.http.bearer_token_file);
  add(config.export_defaults.http.client_key_file);
  const auto& environment = config.aws.environment;
  for (const char* name :
       {"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"}) {
    if (const auto found = environment.find(name); found != environment.end()) add(found->second);
  }
  if (const auto home = environment.find("HOME"); home != environment.end()) {
    add(home->second + "/.aws");
    add(home->second + "/.ssh");
  }
  return paths;
}

}  // namespace weir::daemon
