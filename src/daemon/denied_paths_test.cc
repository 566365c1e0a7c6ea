#include "daemon/denied_paths.h"

#include "daemon/reload_plan.h"
#include "daemon/schema.h"
#include "daemon/testing.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

// "a.b[].c" with a value: {a: {b: [{c: value}]}}.
std::string yaml_with(const std::string& path, const std::string& value) {
  const auto dot = path.find('.');
  std::string name = path.substr(0, dot);
  const std::string rest =
      dot == std::string::npos ? value : yaml_with(path.substr(dot + 1), value);
  if (!name.ends_with("[]")) return "{" + name + ": " + rest + "}";
  name.resize(name.size() - 2);
  return "{" + name + ": [" + rest + "]}";
}

Config read(const std::string& yaml, std::map<std::string, std::string> environment = {}) {
  ConfigSources rest;
  rest.environment = std::move(environment);
  return parse_config(yaml, "weir.yaml", rest).config;
}

std::vector<std::string> keys_that_name_files() {
  std::vector<std::string> paths;
  for_each_key([&](const std::string& path, const Key& key) {
    if (key.name.ends_with("_file")) paths.push_back(path);
  });
  return paths;
}

TEST(DeniedPaths, every_file_that_the_configuration_names_is_denied) {
  const auto keys = keys_that_name_files();
  for (const char* known :
       {"server.tokens_file", "export.options[].http.bearer_token_file",
        "streams[].exports[].http.client_key_file", "redirects[].to.http.bearer_token_file",
        "additions[].http.client_key_file", "connectors[].password_file", "connectors[].key_file",
        "export.aws.iot_credentials.private_key_file"}) {
    EXPECT_THAT(keys, Contains(known));
  }
  for (const std::string& path : keys) {
    EXPECT_THAT(denied_paths(read(yaml_with(path, "/srv/secret"))), Contains("/srv/secret"))
        << path;
  }
}

// The rule above goes by names; so whoever adds a key with a path in it must give it such a name.
TEST(DeniedPaths, a_key_with_the_path_of_a_file_is_named_so) {
  const std::set<std::string> directories = {"directory", "input_directories"};
  for_each_key([&](const std::string& path, const Key& key) {
    const bool sample_is_path = key.sample.starts_with('/') || key.default_text.starts_with('/');
    const bool is_pointer = key.name == "field";  // to a member of a message
    if (!sample_is_path || is_pointer || directories.contains(key.name)) return;
    EXPECT_TRUE(key.name.ends_with("_file")) << path;
  });
}

TEST(DeniedPaths, files_that_the_environment_and_profiles_name_are_denied) {
  const testing::TemporaryDirectory home;
  const std::string config = home.path() + "/aws-config";
  std::ofstream(config) << "[profile edge]\nrole_arn = arn:aws:iam::1:role/x\n"
                           "web_identity_token_file = /srv/identity\n";
  const auto denied = denied_paths(read("", {{"HOME", home.path()},
                                             {"AWS_CONFIG_FILE", "~/aws-config"},
                                             {"AWS_WEB_IDENTITY_TOKEN_FILE", "/srv/token"},
                                             {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/srv/pod"},
                                             {"WEIR_SERVER_TOKENS_FILE", "/srv/clients"}}));
  for (const std::string& path :
       {config, home.path() + "/.aws", std::string("/srv/token"), std::string("/srv/pod"),
        std::string("/srv/clients"), std::string("/srv/identity")}) {
    EXPECT_THAT(denied, Contains(path));
  }
}

TEST(DeniedPaths, what_a_reload_names_is_denied_even_while_it_waits_for_a_restart) {
  const std::string connector =
      "connectors:\n- {type: firehose, broker: 'mqtt://127.0.0.1:1', user: u, password_file: "
      "/srv/password, default_delivery_stream_arn: "
      "'arn:aws:firehose:eu-west-1:123456789012:deliverystream/d'}\n";
  const auto running = parse_config("", "weir.yaml");
  const auto plan =
      plan_reload(running.config,
                  parse_config(connector + "server: {tokens_file: /srv/tokens}\n", "weir.yaml"));
  ASSERT_THAT(plan.refused, IsEmpty());
  EXPECT_THAT(plan.next.connectors, IsEmpty());
  EXPECT_THAT(denied_paths(plan.next), Contains("/srv/password"));
  EXPECT_THAT(denied_paths(plan.next), Contains("/srv/tokens"));
  EXPECT_THAT(denied_paths(running.config), Not(Contains("/srv/tokens")));
}

}  // namespace
}  // namespace weir::daemon
