// What people see of a configuration, and which files it is made of.

#include "daemon/settings.h"

#include "daemon/config_files.h"
#include "daemon/redactor.h"
#include "daemon/testing.h"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace weir::daemon {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

LoadedConfig read(const std::string& yaml, const ConfigSources& rest = {}) {
  return parse_config(yaml, "weir.yaml", rest);
}

TEST(Settings, EachValueComesWithWhereItWasSetLast) {
  ConfigSources rest;
  rest.environment = {{"STREAM_MANAGER_SERVER_PORT", "7000"}, {"WEIR_ADMIN_PORT", "7001"}};
  rest.options = {{"--log-level", "log.level", "warn"}};
  const auto loaded = read(
      "server:\n  port: 9\n  reader_threads: 3\nlog: {level: debug}\nLOG_LEVEL: ERROR\n", rest);
  const auto shown = shown_settings(loaded.config, true);
  EXPECT_EQ(shown.at("server.port").value, "7000");
  EXPECT_EQ(shown.at("server.port").source, "environment STREAM_MANAGER_SERVER_PORT");
  EXPECT_EQ(shown.at("admin.port").source, "environment WEIR_ADMIN_PORT");
  EXPECT_EQ(shown.at("server.reader_threads").source, "weir.yaml:3");
  EXPECT_EQ(shown.at("log.level").value, "warn");
  EXPECT_EQ(shown.at("log.level").source, "option --log-level");
  EXPECT_EQ(shown.at("store.streams_max").source, "default");
  EXPECT_FALSE(shown_settings(loaded.config, false).contains("store.streams_max"));
}

TEST(Settings, NobodySeesSecrets) {
  ConfigSources rest;
  rest.environment = {{"AWS_ACCESS_KEY_ID", "AKIDPLANTED"},
                      {"AWS_SECRET_ACCESS_KEY", "planted"},
                      {"AWS_SESSION_TOKEN", "planted"},
                      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "planted"}};
  const auto loaded = read(
      "export:\n  options:\n  - http: {headers: {X-Key: planted}}\n"
      "additions:\n- {type: http, identifier: a, uri: 'https://u:planted@h/p?q=planted#planted'}\n",
      rest);
  const std::string all = config_json(loaded.config);
  EXPECT_THAT(all, Not(HasSubstr("planted")));
  EXPECT_THAT(all, Not(HasSubstr("PLANTED")));
  EXPECT_THAT(all, HasSubstr("https://(hidden)@h/p?(hidden)"));
}

TEST(Settings, UrlsLoseUserNamesAndQueries) {
  const std::pair<const char*, const char*> cases[] = {
      {"no address", "no address"},
      {"http://host:1/a/b", "http://host:1/a/b"},
      {"http://u@host", "http://(hidden)@host"},
      {"see http://a:b@c/d?e, then https://f?g",
       "see http://(hidden)@c/d?(hidden), then https://f?(hidden)"},
      {"http://a@b@c/d@e", "http://(hidden)@c/d@e"},
      {"{\"uri\":\"http://x/?k=v\"}", "{\"uri\":\"http://x/?(hidden)\"}"},
      {"http://", "http://"},
      {"http://h/#f", "http://h/?(hidden)"},
      {"://?://?", "://?(hidden)"},
  };
  for (const auto& [text, wanted] : cases) EXPECT_EQ(without_url_secrets(text), wanted) << text;
}

TEST(Redactor, TakesKnownSecretsOutAlsoWhereJsonEscapesThem) {
  Redactor redactor;
  redactor.add("pa\"ss\\word");
  redactor.add("a-longer-pa\"ss\\word");
  redactor.add("tiny");
  const std::string text = nlohmann::json{{"x", "a-longer-pa\"ss\\word!"}}.dump();
  EXPECT_EQ(redactor.redact(text), R"({"x":"(hidden)!"})");
  EXPECT_EQ(redactor.redact("tiny"), "tiny") << "too short to be told from other words";
}

TEST(Redactor, HidesWhatIsAnnouncedAsASecret) {
  const Redactor redactor;
  for (const char* text : {"Authorization: Bearer abcdef123456", "password=abcdef123456",
                           "\"password\": \"abcdef123456\"", "aws_secret_access_key = abcdef123456",
                           "X-Amz-Security-Token: abcdef123456"}) {
    EXPECT_THAT(redactor.redact(text), Not(HasSubstr("abcdef123456"))) << text;
  }
  for (const char* text : {"the password is wrong", "password_file: /etc/weir/broker-password",
                           "no authorization was given"}) {
    EXPECT_EQ(redactor.redact(text), text);
  }
}

class ConfigFilesTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text = "log: {level: info}\n") {
    const fs::path path = directory_.path(name);
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  static std::vector<std::string> names(const std::vector<std::string>& paths) {
    std::vector<std::string> all;
    all.reserve(paths.size());
    for (const auto& path : paths) all.push_back(fs::path(path).filename());
    return all;
  }
  testing::TemporaryDirectory directory_;
};

TEST_F(ConfigFilesTest, AreReadInByteOrderAndLeftoversAreNamed) {
  for (const char* name :
       {"weir.yaml", "conf.d/b.yaml", "conf.d/B.yaml", "conf.d/a.yaml~", "conf.d/a.yaml.dpkg-dist",
        "conf.d/10.dpkg-new.yaml", "conf.d/x.yml", "conf.d/README", "conf.d/.hidden.yaml"}) {
    write(name);
  }
  const auto found = find_config_files(directory_.path("weir.yaml"), {});
  EXPECT_THAT(names(found.files), ElementsAre("weir.yaml", "B.yaml", "b.yaml"));
  EXPECT_EQ(found.notes.size(), 5U) << "of a README nobody expects anything";
  EXPECT_THAT(found.problems, IsEmpty());
}

TEST_F(ConfigFilesTest, AFileThatCannotBeReadIsAProblemNotAnOmission) {
  write("weir.yaml");
  write("conf.d/10.yaml");
  fs::create_directories(directory_.path("conf.d"));
  ASSERT_EQ(::mkfifo(directory_.path("conf.d/20.yaml").c_str(), 0600), 0);
  ConfigSources sources;
  sources.file = directory_.path("weir.yaml");
  const auto loaded = load_config(sources);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_THAT(loaded.config.notes,
              ElementsAre(HasSubstr("20.yaml is not read: not a regular file")));
  sources.file = directory_.path("missing.yaml");
  EXPECT_EQ(load_config(sources).problems.size(), 1U);
  sources.file_optional = true;
  EXPECT_THAT(load_config(sources).problems, IsEmpty());
  sources.directory = directory_.path("nowhere.d");
  EXPECT_EQ(load_config(sources).problems.size(), 1U) << "one that was named must be there";
}

TEST_F(ConfigFilesTest, TooManyAreAProblem) {
  for (std::size_t i = 0; i <= kDropInsMax; ++i) write(fmt::format("conf.d/{:05}.yaml", i), "");
  const auto found = find_config_files({}, directory_.path("conf.d"));
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_THAT(found.problems[0].text(), HasSubstr("more than 1000 files"));
}

TEST_F(ConfigFilesTest, ElementsOfListsAreCountedOverAllFiles) {
  write("weir.yaml", "streams:\n- name: one\n- name: two\n");
  write("conf.d/10.yaml", "streams:\n- name: three\n");
  ConfigSources sources;
  sources.file = directory_.path("weir.yaml");
  const auto loaded = load_config(sources);
  ASSERT_EQ(loaded.config.streams.size(), 3U);
  EXPECT_EQ(loaded.config.streams[2].path, "streams[2]");
  EXPECT_EQ(loaded.config.settings.at("streams[2].name").text, "three");
}

}  // namespace
}  // namespace weir::daemon
