#include "server/testing_fixture.h"

#include <fstream>
#include <sys/resource.h>

namespace weir::server {
namespace {

using testing::bytes;
using testing::Client;
using testing::frame;
using testing::map;
using testing::Reply;
using testing::ServerTest;
using testing::text;

class PressureTest : public ServerTest {
 protected:
  /// A client that must notice nothing of what the others do.
  Client& bystander() {
    if (!bystander_) {
      bystander_.emplace(port());
      bystander_->connect();
      bystander_->create("quiet");
    }
    return *bystander_;
  }

 private:
  std::optional<Client> bystander_;
};

TEST_F(PressureTest, ASenderOfSingleBytesIsServed) {
  start();
  Client client(port());
  client.connect();
  client.create("s");
  const std::string two = Client::append_frame("a", "s", "x") + Client::append_frame("b", "s", "y");
  for (const char c : two) {
    client.send({&c, 1});
    EXPECT_EQ(0, bystander().append("quiet", "x").status());
  }
  EXPECT_EQ("a", client.receive()->id());
  EXPECT_EQ("b", client.receive()->id());
}

TEST_F(PressureTest, EverySplitOfARequestInTwoIsTheSame) {
  start();
  Client client(port());
  client.connect();
  client.create("s");
  const std::string request = Client::append_frame("split", "s", "payload");
  for (std::size_t at = 1; at < request.size(); ++at) {
    client.send(std::string_view(request).substr(0, at));
    on_core([] {});  // the first part is taken before the second comes
    client.send(std::string_view(request).substr(at));
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(static_cast<std::int64_t>(at) - 1, reply->body["sequenceNumber"].number);
  }
}

TEST_F(PressureTest, PayloadsOfAllSizesArriveWhole) {
  start();
  Client client(port());
  client.connect();
  client.create("s");
  std::int64_t number = 0;
  for (const std::size_t size :
       {1UL, 23UL, 24UL, 255UL, 256UL, 4'000UL, 65'000UL, 65'480UL, 65'536UL, 65'537UL, 200'000UL,
        262'144UL, 300'000UL, 1'048'576UL, 5'000'000UL}) {
    std::string payload(size, '\0');
    for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 31 + size);
    // Behind a small one and before a small one, so that the large one begins and ends anywhere.
    client.send(Client::append_frame("a", "s", "before") + Client::append_frame("b", "s", payload) +
                Client::append_frame("c", "s", "behind"));
    for (int i = 0; i < 3; ++i) {
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ(number++, reply->body["sequenceNumber"].number);
    }
    const Reply back = client.read("s", {.from = number - 2});
    ASSERT_EQ(0, back.status()) << back.message();
    EXPECT_TRUE(payload == back.body["messages"].list.at(0)["payload"].text) << size;
  }
}

// Head and payload in two writes with Nagle's algorithm on: the second waits for the first to be
// acknowledged, which the kernel delays by 40 ms unless told otherwise.
TEST_F(PressureTest, AClientThatWritesInPiecesIsNotSlowedByDelayedAcknowledgements) {
  start();
  Client client(port());
  client.connect();
  client.create("s");
  client.set_nagle();
  constexpr int kCalls = 200;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) {
    const std::string request =
        i % 2 == 0 ? Client::append_frame("a", "s", "x") : Client::read_frame("b", "s", {});
    client.send(std::string_view(request).substr(0, 5));
    client.send(std::string_view(request).substr(5));
    ASSERT_TRUE(client.receive().has_value());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kCalls * std::chrono::milliseconds(20));
}

TEST_F(PressureTest, HalfAFrameAndThenSilenceIsClosed) {
  options.stall_timeout_ms = kShortMs;
  start();
  Client client(port());
  client.connect();
  const std::string request = Client::append_frame("a", "s", "x");
  client.send(std::string_view(request).substr(0, request.size() - 1));
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(metric("weir_server_connections_closed_total{reason=\"frame_stall\"} 1"));
  EXPECT_EQ(0, bystander().append("quiet", "x").status());
}

TEST_F(PressureTest, SteadyTrafficIsNeverTakenForAStall) {
  options.stall_timeout_ms = kShortMs;
  options.handshake_timeout_ms = kShortMs;
  options.request_deadline_ms = kShortMs;
  start();
  Client& client = bystander();
  client.append("quiet", "first");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(4 * kShortMs);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_EQ(0, client.append("quiet", "x").status());
    ASSERT_EQ(0, client.read("quiet", {}).status());
  }
}

TEST_F(PressureTest, AClientThatNeverTakesItsAnswersIsHeldBackAndThenClosed) {
  options.stall_timeout_ms = 300;
  start();
  bystander();
  Client filler(port());
  filler.connect();
  filler.create("s");
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(0, filler.append("s", std::string(100'000, 'x')).status());
  }
  Client greedy(port(), 4'096);
  greedy.connect();
  for (int i = 0; i < 200; ++i) {
    greedy.send_some(Client::read_frame("r", "s", {.least = 50}));
  }
  std::int64_t held = 0;
  ASSERT_TRUE(eventually([&] {
    held = std::max(held, [this] {
      const std::string all = registry.text();
      const std::string name = "\nweir_server_response_buffer_bytes ";
      return static_cast<std::int64_t>(std::stod(all.substr(all.find(name) + name.size())));
    }());
    return metric("weir_server_connections_closed_total{reason=\"answer_stall\"} 1");
  }));
  EXPECT_LT(held, 3 * 5'100'000) << "more than one large answer was kept for it";
  EXPECT_EQ(0, bystander().append("quiet", "x").status());
  ASSERT_TRUE(eventually([this] { return metric("weir_server_response_buffer_bytes 0"); }));
}

TEST_F(PressureTest, AnswersBeyondTheBudgetWaitForOthersToBeTaken) {
  options.response_budget_bytes = 3'000'000;
  options.read_bytes_soft_max = 3'000'000;
  start();
  Client filler(port());
  filler.connect();
  filler.create("s");
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(0, filler.append("s", std::string(250'000, 'x')).status());
  }
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(port(), 4'096);
    clients.back().connect();
    clients.back().send(Client::read_frame("r", "s", {.least = 10}));
  }
  EXPECT_EQ(0, bystander().append("quiet", "x").status());
  for (auto& client : clients) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(0, reply->status()) << reply->message();
    EXPECT_EQ(10U, reply->body["messages"].list.size());
  }
}

TEST_F(PressureTest, LargeFramesThatDoNotAllFitGetInOneAfterTheOther) {
  options.request_budget_bytes = 4'000'000;
  start();
  Client first(port());
  first.connect();
  first.create("s");
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(port());
    clients.back().connect();
  }
  const std::string request = Client::append_frame("large", "s", std::string(1'500'000, 'x'));
  std::vector<std::size_t> sent(clients.size(), 0);
  // All begin, none is complete; then they go on as far as the server takes their bytes.
  std::size_t done = 0;
  for (int round = 0; done < clients.size(); ++round) {
    ASSERT_LT(round, 1'000'000) << "no frame gets done any more";
    for (std::size_t i = 0; i < clients.size(); ++i) {
      if (sent[i] == request.size()) continue;
      const auto part = std::string_view(request).substr(sent[i], 60'000);
      sent[i] += clients[i].send_some(part);
      if (sent[i] == request.size()) ++done;
    }
    EXPECT_EQ(0, bystander().append("quiet", "small ones always get in").status());
  }
  for (auto& client : clients) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(0, reply->status());
  }
  ASSERT_TRUE(eventually([this] { return metric("weir_server_request_buffer_bytes 0"); }));
}

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0;
  statm >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

TEST_F(PressureTest, AThousandIdleConnectionsCostLittleAndNoProcessorTime) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2'300) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4'096);
    ASSERT_EQ(0, ::setrlimit(RLIMIT_NOFILE, &limit));
  }
  start();
  bystander();
  const std::int64_t before = resident_bytes();
  std::vector<Client> idle;
  for (int i = 0; i < 1'000; ++i) {
    idle.emplace_back(port());
    idle.back().connect();
    // Each has sent and received something large before it fell silent.
    if (i % 10 == 0) {
      idle.back().send(Client::append_frame("r", "none", std::string(100'000, 'x')));
      EXPECT_EQ(5, idle.back().receive()->status());
    }
  }
  [[maybe_unused]] const std::int64_t grown = resident_bytes() - before;
#ifndef WEIR_SANITIZED
  EXPECT_LT(grown, 30 << 20);
#endif
  EXPECT_EQ(1'001, server->counts().connections);
  EXPECT_EQ(0, bystander().append("quiet", "x").status());
}

TEST_F(PressureTest, ManyShortConnectionsLeaveNothingBehind) {
  start();
  for (int i = 0; i < 500; ++i) {
    Client client(port());
    client.connect();
    if (i % 3 == 0) client.reset();
  }
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 0; }));
}

TEST_F(PressureTest, OutOfDescriptorsPausesAcceptingAndResumes) {
  start();
  bystander();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  // Everything below the limit is taken, so that the descriptor given back is the only one. Nobody
  // else waits to be accepted: the server would take it.
  std::vector<int> hoard;
  const int next = ::dup(0);
  hoard.push_back(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 3;
  ASSERT_EQ(0, ::setrlimit(RLIMIT_NOFILE, &tight));
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) hoard.push_back(fd);
  ::close(hoard.back());
  hoard.pop_back();
  Client later(port());  // takes it; none is left for the server's side
  EXPECT_TRUE(eventually([this] { return !metric("weir_server_accept_pauses_total 0"); }));
  EXPECT_EQ(0, bystander().append("quiet", "x").status());
  for (const int fd : hoard) ::close(fd);
  ASSERT_EQ(0, ::setrlimit(RLIMIT_NOFILE, &before));
  later.connect();
}

// ---- stopping ---------------------------------------------------------------------------------

TEST_F(PressureTest, AStopAnswersWhatWaitsAndClosesEverybodyInOrder) {
  start();
  Client& appender = bystander();
  Client reader(port());
  reader.connect();
  reader.send(Client::read_frame("waits", "quiet", {.least = 5, .timeout_ms = 100'000}));
  ASSERT_TRUE(eventually([this] { return server->counts().parked_reads == 1; }));
  on_core([this] { catalog->slow_disk = true; });
  appender.send(Client::append_frame("last", "quiet", "x"));
  ASSERT_TRUE(eventually([this] { return catalog->commits > 0; }));
  Client silent(port());
  ASSERT_TRUE(eventually([this] { return server->counts().connections == 3; }));

  std::promise<void> stopped;
  on_core([&] {
    server->shutdown(clock.now() + std::chrono::seconds(20), [&] { stopped.set_value(); });
  });
  const auto failed = reader.receive();
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ("waits", failed->id());
  EXPECT_EQ(6, failed->status());
  EXPECT_TRUE(reader.closed_in_order());
  EXPECT_TRUE(silent.closed_in_order());
  on_core([this] { catalog->sync(); });
  const auto last = appender.receive();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ("last", last->id());
  EXPECT_EQ(0, last->status());
  EXPECT_TRUE(appender.closed_in_order());
  reader.close();
  silent.close();
  appender.close();
  EXPECT_EQ(std::future_status::ready, stopped.get_future().wait_for(std::chrono::seconds(20)));
}

TEST_F(PressureTest, AStopDoesNotWaitLongerThanItsDeadline) {
  start();
  Client stubborn(port());
  stubborn.connect();
  std::promise<void> stopped;
  on_core([&] {
    server->shutdown(clock.now() + std::chrono::milliseconds(50), [&] { stopped.set_value(); });
  });
  EXPECT_EQ(std::future_status::ready, stopped.get_future().wait_for(std::chrono::seconds(20)));
  EXPECT_EQ(0, server->counts().connections);
}

}  // namespace
}  // namespace weir::server
