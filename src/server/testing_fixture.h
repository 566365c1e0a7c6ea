#pragma once

#include "base/testing.h"
#include "server/testing_catalog.h"
#include "server/testing_client.h"

#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace weir::server::testing {

/// Lets in whoever says "open sesame"; `later` leaves the verdict to the test.
class FakeVerifier final : public Verifier {
 public:
  void verify(std::string token, Done done) override {
    ++asked;
    if (later) {
      held = std::move(done);
      return;
    }
    done(token == "open sesame" ? TokenVerdict::kGood : TokenVerdict::kBad, "wrong word");
  }
  bool later = false;
  Done held;
  int asked = 0;
};

class NoExports final : public ExportStatuses {
 public:
  std::vector<model::ExportStatus> export_statuses(const stream::Stream& stream) override {
    std::vector<model::ExportStatus> statuses;
    for (const auto& config : stream.definition().exports) {
      statuses.emplace_back().export_config_identifier = config.identifier;
    }
    return statuses;
  }
  void when_settled(const stream::Stream&, Done done) override {
    if (later) {
      held = std::move(done);
      return;
    }
    done({});
  }
  bool later = false;
  Done held;
};

/// A server on a real loopback port, its core on a thread of its own, over a catalog in memory.
class ServerTest : public ::testing::Test {
 protected:
  /// A timeout that a test waits for, or that must not strike while it works: it may lose the
  /// processor for tens of milliseconds in between.
  static constexpr std::int64_t kShortMs = 250;

  ServerTest() {
    options.port = 0;
    options.authenticate_client = false;
  }
  ~ServerTest() override { stop(); }

  void start() {
    server = *Server::bind(options, {*loop, clock, registry, verifier, exports});
    catalog = std::make_unique<FakeCatalog>(*loop, *server);
    server->serve(*catalog);
    core = std::thread([this] { loop->run(); });
  }
  void stop() {
    if (!core.joinable()) return;
    loop->stop();
    core.join();
    server.reset();
  }
  [[nodiscard]] std::uint16_t port() const { return server->port(); }

  /// Runs `work` on the core thread and waits for it.
  template <class Work>
  auto on_core(Work work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto done = task.get_future();
    auto shared = std::make_shared<decltype(task)>(std::move(task));
    loop->post([shared] { (*shared)(); });
    return done.get();
  }
  /// Waits until `condition` holds on the core thread.
  template <class Condition>
  bool eventually(Condition condition) {
    return weir::testing::eventually([&] { return on_core(condition); });
  }
  [[nodiscard]] bool metric(const std::string& line) const {
    return registry.text().find(line + "\n") != std::string::npos;
  }

  Options options;
  SystemClock clock;
  metrics::Registry registry;
  FakeVerifier verifier;
  NoExports exports;
  std::unique_ptr<Loop> loop = *Loop::create(clock);
  std::unique_ptr<Server> server;
  std::unique_ptr<FakeCatalog> catalog;
  std::thread core;
};

}  // namespace weir::server::testing
