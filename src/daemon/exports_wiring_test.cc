#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/testing.h"
#include "destination/testing/raw_server.h"
#include "server/testing_client.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::daemon {
namespace {

using nlohmann::json;
using server::testing::Client;
using server::testing::head;
using server::testing::map;
using server::testing::text;
using ::testing::HasSubstr;

// The whole daemon, as far as exports are concerned.
class ExportsWiring : public ::testing::Test {
 protected:
  void start(const std::string& yaml) {
    daemon_.reset();
    ConfigSources rest;
    rest.options = {{"--port", "server.port", "0"}, {"--admin-port", "admin.port", "0"}};
    rest.environment = {{"WEIR_STORE_DIRECTORY", directory_.path("store")},
                        {"STREAM_MANAGER_AUTHENTICATE_CLIENT", "false"}};
    auto loaded = parse_config(yaml, "weir.yaml", rest);
    for (const auto& problem : loaded.problems) ADD_FAILURE() << problem.text();
    auto started = Daemon::start(std::move(loaded.config));
    ASSERT_TRUE(started) << started.error().what;
    daemon_ = std::move(*started);
  }
  Client client() {
    Client connected(daemon_->server_port());
    connected.connect();
    return connected;
  }
  void eventually(const char* what, const std::function<bool()>& holds) {
    ASSERT_TRUE(weir::testing::eventually(holds)) << "never happened: " << what;
  }
  json export_of(const std::string& stream) {
    const auto status = json::parse(daemon_->status());
    for (const auto& each : status["streams"]) {
      if (each["name"] == stream && !each["exports"].empty()) return each["exports"][0];
    }
    return json::object();
  }

  testing::LogCapture log_;
  testing::TemporaryDirectory directory_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(ExportsWiring, no_port_of_weirs_own_is_a_target_for_clients_not_even_one_chosen_at_bind) {
  start("");
  const std::pair<const char*, int> ports[] = {{"server", daemon_->server_port()},
                                               {"admin", daemon_->admin_port()}};
  for (const auto& [name, port] : ports) {
    ASSERT_GT(port, 0);
    const std::string target =
        map({{"identifier", text("web")},
             {"uri", text(fmt::format("http://127.0.0.1:{}/metrics", port))}});
    EXPECT_EQ(0, client()
                     .create(name, {{"exportDefinition", map({{"http", head(4, 1) + target}})}})
                     .status());
    eventually("the export is refused", [&, stream = name] {
      const auto shown = export_of(stream);
      return shown.value("state", "") == "broken";
    });
    EXPECT_THAT(export_of(name).value("reason", ""), HasSubstr("one of weir's own ports"));
  }
}

// What programs cannot see of an export is in no stored definition: it comes from the file, at
// every start.
TEST_F(ExportsWiring, extras_of_the_configuration_are_taken_up_by_a_restart) {
  Mutex mutex;
  std::vector<std::string> requests;
  destination::testing::RawServer cloud([&](destination::testing::Peer& peer, int) {
    for (std::string one = peer.request(); !one.empty(); one = peer.request()) {
      {
        const MutexLock lock(mutex);
        requests.push_back(one);
      }
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  });
  const auto arrived = [&](const std::string& what) {
    const MutexLock lock(mutex);
    return std::count_if(requests.begin(), requests.end(),
                         [&](const auto& one) { return one.find(what) != std::string::npos; });
  };
  const auto declared = [&](const std::string& site) {
    return fmt::format(
        "streams: [{{name: s, exports: [{{type: http, identifier: web, uri: '{}', "
        "http: {{headers: {{X-Site: {}}}}}}}]}}]\n",
        cloud.url("/in"), site);
  };
  start(declared("north"));
  client().append("s", "first");
  eventually("the first message arrives", [&] { return arrived("X-Site: north") == 1; });
  start(declared("south"));
  client().append("s", "second");
  eventually("the second message arrives", [&] { return arrived("X-Site: south") >= 1; });
  EXPECT_EQ(arrived("X-Site: north"), 1) << "its position was kept";

  // The same for exports that programs define.
  const std::string rule =
      "export: {options: [{stream: 's', identifier: 'web', http: {headers: "
      "{X-Site: east}}}]}\n";
  start(rule);
  client().append("s", "third");
  eventually("the third message arrives", [&] { return arrived("X-Site: east") >= 1; });
}

}  // namespace
}  // namespace weir::daemon
