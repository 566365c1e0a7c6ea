#include "daemon/daemon.h"

#include "daemon/testing.h"
#include "server/testing_client.h"

#include <chrono>
#include <fmt/format.h>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <thread>

namespace weir::daemon {
namespace {

using nlohmann::json;
using server::testing::Client;
using server::testing::head;
using server::testing::integer;
using server::testing::map;
using server::testing::text;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kDescribe = 13;
constexpr std::int64_t kServerTimeout = 6;
constexpr std::int64_t kUnauthorized = 2;

// Waits for a state, not for a time.
void eventually(const char* what, const std::function<bool()>& holds) {
  ASSERT_TRUE(weir::testing::eventually(holds)) << "never happened: " << what;
}

class DaemonTest : public ::testing::Test {
 protected:
  // The configuration that every test starts from, with `yaml` on top.
  Config config(const std::string& yaml = {}) {
    ConfigSources rest;
    rest.options = {{"--port", "server.port", "0"}, {"--admin-port", "admin.port", "0"}};
    rest.environment = environment_;
    if (!rest.environment.contains("STREAM_MANAGER_STORE_ROOT_DIR")) {
      rest.environment.emplace("WEIR_STORE_DIRECTORY", directory_.path("store"));
    }
    rest.environment.emplace("STREAM_MANAGER_AUTHENTICATE_CLIENT", "false");
    auto loaded = parse_config(yaml, "weir.yaml", rest);
    for (const auto& problem : loaded.problems) ADD_FAILURE() << problem.text();
    return std::move(loaded.config);
  }
  void start(const std::string& yaml = {}) { start_with(config(yaml)); }
  void start_with(Config config) {
    daemon_.reset();
    auto started = Daemon::start(std::move(config));
    ASSERT_TRUE(started) << started.error().what;
    daemon_ = std::move(*started);
  }
  std::string refused(Config config) {
    auto started = Daemon::start(std::move(config));
    EXPECT_FALSE(started);
    return started ? std::string() : started.error().what;
  }
  [[nodiscard]] Client client() const {
    Client connected(daemon_->server_port());
    connected.connect();
    return connected;
  }
  server::testing::Item describe(const std::string& name) {
    auto connected = client();
    return connected.call(kDescribe, {{"requestId", text("d")}, {"name", text(name)}})
        .body["messageStreamInfo"];
  }
  std::string get(const std::string& path) {
    return testing::http_get(daemon_->admin_port(), path);
  }
  json status() { return json::parse(daemon_->status()); }

  testing::LogCapture log_;
  testing::TemporaryDirectory directory_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(DaemonTest, keeps_messages_from_one_start_to_the_next) {
  start();
  {
    auto program = client();
    EXPECT_EQ(program.create("pumps").status(), 0);
    EXPECT_EQ(program.append("pumps", "on").body["sequenceNumber"].number, 0);
    EXPECT_EQ(program.append("pumps", "off").body["sequenceNumber"].number, 1);
  }
  start();
  auto program = client();
  const auto answer = program.read("pumps", {.from = 0, .least = 2});
  ASSERT_EQ(answer.body["messages"].list.size(), 2U);
  EXPECT_EQ(answer.body["messages"].list[1]["payload"].text, "off");
  EXPECT_EQ(program.append("pumps", "on").body["sequenceNumber"].number, 2);
}

TEST_F(DaemonTest, makes_its_store_with_parents_for_itself_alone) {
  environment_["WEIR_STORE_DIRECTORY"] = directory_.path("a/b/store");
  start();
  struct stat info {};
  ASSERT_EQ(::stat(directory_.path("a/b/store").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(DaemonTest, refuses_a_store_of_the_environment_that_is_not_there) {
  environment_["STREAM_MANAGER_STORE_ROOT_DIR"] = directory_.path("absent");
  EXPECT_THAT(refused(config()), HasSubstr("absent' does not exist"));
  EXPECT_FALSE(std::filesystem::exists(directory_.path("absent")));
}

TEST_F(DaemonTest, refuses_a_store_that_is_a_file) {
  environment_["WEIR_STORE_DIRECTORY"] = directory_.write("file", "x");
  EXPECT_THAT(refused(config()), HasSubstr("is not a directory"));
}

TEST_F(DaemonTest, refuses_a_store_that_another_weir_uses) {
  start();
  const auto why = refused(config());
  EXPECT_THAT(why, HasSubstr("store"));
  EXPECT_THAT(why, ::testing::ContainsRegex("lock|in use"));
  EXPECT_EQ(client().create("still here").status(), 0);
}

TEST_F(DaemonTest, refuses_a_directory_with_other_peoples_files) {
  std::filesystem::create_directory(directory_.path("store"));
  directory_.write("store/thesis.txt", "precious");
  EXPECT_THAT(refused(config()), HasSubstr("thesis.txt"));
  std::filesystem::remove(directory_.path("store/thesis.txt"));
  directory_.write("store/stream_manager_metadata_store", "{}");
  EXPECT_THAT(refused(config()), HasSubstr("stream_manager_metadata_store"));
}

TEST_F(DaemonTest, warns_when_others_can_read_the_store) {
  std::filesystem::create_directory(directory_.path("store"));
  ASSERT_EQ(::chmod(directory_.path("store").c_str(), 0755), 0);
  start();
  EXPECT_THAT(testing::LogCapture::all(), HasSubstr("chmod 700"));
}

TEST_F(DaemonTest, names_a_port_that_is_in_use_and_leaves_the_store_clean) {
  start();
  auto other = config();
  other.store_directory = directory_.path("other");
  other.server.port = daemon_->server_port();
  EXPECT_THAT(refused(other), HasSubstr("in use"));
  other.server.port = 0;
  other.admin.port = daemon_->admin_port();
  EXPECT_THAT(refused(other), HasSubstr("in use"));
  other.admin.port = 0;
  start_with(other);
}

TEST_F(DaemonTest, creates_and_updates_declared_streams) {
  start("streams: [{name: declared, max_size_bytes: 1048576, strategy_on_full: overwrite}]\n");
  EXPECT_EQ(describe("declared")["definition"]["maxSize"].number, 1048576);
  client().append("declared", "kept");
  start("streams: [{name: declared, max_size_bytes: 2097152, strategy_on_full: overwrite}]\n");
  EXPECT_EQ(describe("declared")["definition"]["maxSize"].number, 2097152);
  auto program = client();
  EXPECT_EQ(program.read("declared", {.from = 0}).body["messages"].list.size(), 1U);
}

TEST_F(DaemonTest, creates_many_declared_streams) {
  std::string yaml = "streams:\n";
  for (int i = 0; i < 70; ++i) yaml += fmt::format("  - name: s{}\n", i);
  start(yaml);
  EXPECT_EQ(status()["streams"].size(), 70U);
}

TEST_F(DaemonTest, starts_although_a_declared_stream_cannot_be_changed) {
  start("streams: [{name: declared, persistence: file}]\n");
  start("streams: [{name: declared, persistence: memory}, {name: other}]\n");
  EXPECT_THAT(testing::LogCapture::all(), HasSubstr("stream=declared"));
  EXPECT_THAT(get("/metrics"), HasSubstr("weir_daemon_declared_stream_failures_total 1\n"));
  EXPECT_EQ(status()["streams"].size(), 2U);
}

TEST_F(DaemonTest, a_file_export_is_its_own_and_not_shown_to_programs) {
  const std::string yaml = fmt::format(
      "streams: [{{name: s, exports: [{{type: file, identifier: disk, directory: '{}'}}, "
      "{{type: http, identifier: web, uri: 'http://127.0.0.1:1/', disabled: true, "
      "batch_interval_ms: 200}}]}}]\n",
      directory_.path("out"));
  start(yaml);
  client().append("s", "message-1");
  const auto exported = [&] {
    std::string all;
    std::error_code none;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(directory_.path("out"), none)) {
      // Hidden: the destination's own notes.
      if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
      std::ifstream file(entry.path());
      std::ostringstream content;
      content << file.rdbuf();
      all += content.str();
    }
    return all;
  };
  eventually("the message is in a file", [&] { return exported() == "message-1\n"; });

  const auto info = describe("s");
  const auto& exports = info["definition"]["exportDefinition"];
  ASSERT_EQ(exports["http"].list.size(), 1U);
  EXPECT_EQ(exports["http"].list[0]["batchIntervalMillis"].number, 60'000)
      << "programs cannot read a shorter one";
  ASSERT_EQ(info["exportStatuses"].list.size(), 1U);
  EXPECT_EQ(info["exportStatuses"].list[0]["exportConfigIdentifier"].text, "web");

  eventually("the status shows the export", [&] {
    const auto shown = status();
    for (const auto& each : shown["streams"][0]["exports"]) {
      if (each["identifier"] == "disk") {
        return each["on_wire"] == false && each["exported_messages"] == 1;
      }
    }
    return false;
  });
}

TEST_F(DaemonTest, shows_its_status) {
  start(
      "streams: [{name: s, exports: [{type: http, identifier: web, uri: "
      "'http://127.0.0.1:1/', disabled: true}]}]\n");
  client().append("s", "12345");
  const auto shown = status();
  for (const char* key : {"version", "pid", "uptime_ms", "store", "server", "streams"}) {
    EXPECT_TRUE(shown.contains(key)) << key;
  }
  EXPECT_EQ(shown["store"]["directory"], directory_.path("store"));
  EXPECT_GT(shown["store"]["total_bytes"], 0);
  EXPECT_EQ(shown["server"]["port"], daemon_->server_port());
  ASSERT_EQ(shown["streams"].size(), 1U);
  const auto& stream = shown["streams"][0];
  for (const char* key : {"name", "id", "oldest", "newest", "total_bytes", "max_size",
                          "persistence", "fault", "lost_messages", "exports"}) {
    EXPECT_TRUE(stream.contains(key)) << key;
  }
  EXPECT_EQ(stream["newest"], 0);
  EXPECT_GE(stream["total_bytes"], 5);
  ASSERT_EQ(stream["exports"].size(), 1U);
  for (const char* key :
       {"identifier", "type", "target", "state", "reason", "last_error", "failure_class",
        "consecutive_failures", "next_try_in_ms", "waiting_messages", "waiting_bytes",
        "oldest_waiting_age_ms", "exported_messages", "exported_bytes", "skipped_messages",
        "lost_messages", "last_exported", "on_wire"}) {
    EXPECT_TRUE(stream["exports"][0].contains(key)) << key;
  }
  EXPECT_THAT(get("/status"), HasSubstr("\"name\":\"s\""));
}

TEST_F(DaemonTest, is_live_and_ready_while_it_runs) {
  start();
  EXPECT_THAT(get("/livez"), HasSubstr("200 OK"));
  EXPECT_THAT(get("/readyz"), HasSubstr("200 OK"));
  const auto metrics = get("/metrics");
  EXPECT_THAT(metrics, HasSubstr("weir_daemon_ready 1\n"));
  EXPECT_THAT(metrics, HasSubstr("weir_daemon_info{version="));
}

TEST_F(DaemonTest, runs_without_an_admin_port) {
  auto wanted = config();
  wanted.admin.port = -1;
  start_with(wanted);
  EXPECT_EQ(daemon_->admin_port(), -1);
  EXPECT_EQ(client().create("s").status(), 0);
}

TEST_F(DaemonTest, a_stop_answers_waiting_reads_and_closes_in_order) {
  start("streams: [{name: s}]\n");
  auto waiting = client();
  waiting.send(Client::read_frame("r", "s", {.from = 0, .least = 1, .timeout_ms = 60'000}));
  eventually("the read waits", [&] { return status()["server"]["parked_reads"] == 1; });
  daemon_->stop();
  const auto answer = waiting.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), kServerTimeout);
  EXPECT_TRUE(waiting.closed_in_order());
}

TEST_F(DaemonTest, a_stop_does_not_wait_for_a_destination_that_hangs) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(silent, 8), 0);
  socklen_t length = sizeof address;
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &length), 0);
  start(
      fmt::format("streams: [{{name: s, exports: [{{type: http, identifier: web, uri: "
                  "'http://127.0.0.1:{}/'}}]}}]\n",
                  ntohs(address.sin_port)));
  client().append("s", "x");
  eventually("a delivery hangs",
             [&] { return status()["streams"][0]["exports"][0]["state"] == "in_flight"; });
  const auto begun = std::chrono::steady_clock::now();
  daemon_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));  // S5
  ::close(silent);
}

TEST_F(DaemonTest, lets_in_who_has_a_token) {
  environment_["STREAM_MANAGER_AUTHENTICATE_CLIENT"] = "true";
  const auto tokens = directory_.write("tokens", "LETMEIN\nANOTHER\n");
  start("server: {tokens_file: '" + tokens + "'}\n");
  for (const char* good : {"LETMEIN", "ANOTHER"}) {
    Client(daemon_->server_port()).connect({{"authToken", text(good)}});
  }
  for (const char* bad : {"", "letmein", "LETMEIN ", "LETMEI", "LETMEIN\nANOTHER"}) {
    Client stranger(daemon_->server_port());
    stranger.send("\x01" + Client::connect_frame({{"authToken", text(bad)}}));
    const auto answer = stranger.receive_handshake();
    ASSERT_TRUE(answer) << bad;
    EXPECT_EQ(answer->status(), kUnauthorized) << bad;
  }
  EXPECT_THAT(testing::LogCapture::all(), Not(HasSubstr("LETMEI")));
}

TEST_F(DaemonTest, refuses_token_files_that_protect_nothing) {
  environment_["STREAM_MANAGER_AUTHENTICATE_CLIENT"] = "true";
  const auto with_file = [&](const std::string& path) {
    return refused(config("server: {tokens_file: '" + path + "'}\n"));
  };
  EXPECT_THAT(with_file(directory_.write("open", "T\n", 0644)), HasSubstr("chmod 600"));
  EXPECT_THAT(with_file(directory_.write("empty", "\n\n")), HasSubstr("has no token"));
  EXPECT_THAT(with_file(directory_.path("absent")), HasSubstr("No such file"));
  EXPECT_THAT(with_file(directory_.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(refused(config()), HasSubstr("server.tokens_file"));
}

TEST_F(DaemonTest, shows_no_secret_anywhere) {
  environment_["STREAM_MANAGER_AUTHENTICATE_CLIENT"] = "true";
  environment_["AWS_REGION"] = "eu-west-1";
  environment_["AWS_ACCESS_KEY_ID"] = "SECRET-1";
  environment_["AWS_SECRET_ACCESS_KEY"] = "SECRET-2";
  environment_["AWS_SESSION_TOKEN"] = "SECRET-3";
  environment_["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1";
  log::set_level(log::Level::kTrace);
  const auto tokens = directory_.write("tokens", "SECRET-4\n");
  start("server: {tokens_file: '" + tokens +
        "'}\nstreams: [{name: s, exports: [{type: kinesis, identifier: k, stream: x}]}]\n");
  Client program(daemon_->server_port());
  program.connect({{"authToken", text("SECRET-4")}});
  EXPECT_EQ(program.append("s", "SECRET-5").status(), 0);
  Client stranger(daemon_->server_port());
  stranger.send("\x01" + Client::connect_frame({{"authToken", text("SECRET-6")}}));
  stranger.receive_handshake();
  eventually("an export fails",
             [&] { return status()["streams"][0]["exports"][0]["consecutive_failures"] != 0; });
  const auto everything = get("/status") + get("/metrics");
  daemon_.reset();
  log::set_level(log::Level::kInfo);
  EXPECT_THAT(everything + testing::LogCapture::all(), Not(HasSubstr("SECRET-")));
}

}  // namespace
}  // namespace weir::daemon
