#include "daemon/denied_paths.h"

#include "daemon/schema.h"
#include "destination/credentials/shared_files.h"

#include <utility>

namespace weir::daemon {
namespace {

// By their names, so that a new key is among them without anybody's doing.
void add_named_files(const Settings& settings, std::vector<std::string>& paths) {
  for (const auto& [path, setting] : settings) {
    const Key* key = key_of_setting(path);
    if (key != nullptr && key->name.ends_with("_file")) paths.push_back(setting.text);
  }
}

void add_files_of_environment(const std::map<std::string, std::string>& environment,
                              std::vector<std::string>& paths) {
  const auto found = environment.find("HOME");
  const std::string home = found == environment.end() ? std::string() : found->second;
  for (const auto& [name, value] : environment) {
    if (!name.ends_with("_FILE") || value.empty()) continue;
    paths.push_back(value);
    // The AWS tools let a path begin with ~.
    if (value.starts_with("~/") && !home.empty()) paths.push_back(home + value.substr(1));
  }
  if (home.empty()) return;
  paths.push_back(home + "/.aws");
  paths.push_back(home + "/.ssh");
}

}  // namespace

std::vector<std::string> denied_paths(const Config& config) {
  std::vector<std::string> paths = {config.store_directory, "/etc/weir"};
  paths.insert(paths.end(), config.files.begin(), config.files.end());
  add_named_files(config.settings, paths);
  add_named_files(config.waiting, paths);
  add_files_of_environment(config.aws.environment, paths);
  // Files that cannot be read name no token that weir could use.
  if (const auto profiles = destination::credentials::Profiles::load(config.aws.environment)) {
    for (std::string& file : profiles->token_files()) paths.push_back(std::move(file));
  }
  return paths;
}

}  // namespace weir::daemon
