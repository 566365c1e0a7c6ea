// The component with its real thread and socket. What a nucleus says byte by byte is tested from
// outside (tests/e2e/greengrass_test.py); here it is the threads.

#include "greengrass/component.h"

#include "base/testing.h"
#include "greengrass/client.h"
#include "greengrass/event_stream.h"

#include <atomic>
#include <cstring>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace weir::greengrass {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One connection after the other; answers all but what `silent` names.
class SmallNucleus {
 public:
  explicit SmallNucleus(std::string path, std::string silent = {})
      : path_(std::move(path)),
        silent_(std::move(silent)),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 4));
    thread_ = std::thread([this] { run(); });
  }
  ~SmallNucleus() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (const int connection = connection_; connection >= 0) ::shutdown(connection, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  SmallNucleus(const SmallNucleus&) = delete;
  SmallNucleus& operator=(const SmallNucleus&) = delete;

  [[nodiscard]] std::vector<std::string> asked() const {
    const MutexLock lock(mutex_);
    return asked_;
  }
  // Blocks until so many requests were received.
  void wait_for(std::size_t count) {
    const MutexLock lock(mutex_);
    while (asked_.size() < count) changed_.wait(mutex_);
  }

 private:
  void run() {
    while (!stopping_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      connection_ = connection;
      if (!stopping_) serve(connection);
      connection_ = -1;
      ::close(connection);
    }
  }

  void serve(int connection) {
    Decoder decoder;
    char piece[4096];
    for (ssize_t n = 0; (n = ::recv(connection, piece, sizeof piece, 0)) > 0;) {
      decoder.append({piece, static_cast<std::size_t>(n)});
      for (auto next = decoder.next(); next && *next; next = decoder.next()) {
        const std::string answer = answer_to(**next);
        (void)!::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::string answer_to(const Message& message) {
    const std::int32_t stream = message.int32(":stream-id").value_or(-1);
    if (stream == 0) return reply(5, 1, 0, {});
    const std::string operation = message.text("operation")->substr(15);
    {
      const MutexLock lock(mutex_);
      asked_.push_back(operation);
      changed_.notify_all();
    }
    if (operation == silent_) return {};
    if (operation != "ValidateAuthorizationToken") return reply(0, 2, stream, "{}");
    const bool good = json::parse(message.payload)["token"].get<std::string>().starts_with("good");
    return reply(0, 2, stream, json{{"isValid", good}}.dump());
  }

  static std::string reply(std::int32_t type, std::int32_t flags, std::int32_t stream,
                           std::string payload) {
    return *encode({{{":message-type", type}, {":message-flags", flags}, {":stream-id", stream}},
                    std::move(payload)});
  }

  const std::string path_;
  const std::string silent_;
  const int listener_;
  std::atomic<int> connection_{-1};
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> asked_ WEIR_GUARDED_BY(mutex_);
  std::thread thread_;
};

class ComponentTest : public ::testing::Test {
 protected:
  std::unique_ptr<Component> start(std::int64_t answer_timeout_ms = 60'000) {
    Options options;
    options.socket = directory_.path("ipc.socket");
    options.auth_token = "SVCUID";
    options.answer_timeout_ms = answer_timeout_ms;
    return Component::start(options, {metrics_, clock_,
                                      [this] {
                                        return std::vector<Figure>{{"BytesAppended", bytes_}};
                                      },
                                      1});
  }
  static TokenVerdict judge(Component& component, const std::string& token) {
    std::promise<TokenVerdict> verdict;
    component.judge(token,
                    [&](TokenVerdict found, const std::string&) { verdict.set_value(found); });
    return verdict.get_future().get();
  }

  testing::TemporaryDirectory directory_;
  metrics::Registry metrics_;
  SystemClock clock_;
  std::atomic<std::uint64_t> bytes_{0};
};

TEST_F(ComponentTest, tells_its_port_then_that_it_runs_then_its_last_bytes) {
  SmallNucleus nucleus(directory_.path("ipc.socket"));
  auto component = start();
  component->announce(41'000, true);
  nucleus.wait_for(2);
  bytes_ = 100;
  component->stop();
  EXPECT_THAT(nucleus.asked(),
              ElementsAre("UpdateConfiguration", "UpdateState", "PutComponentMetric"));
}

TEST_F(ComponentTest, judges_for_many_threads_at_once) {
  SmallNucleus nucleus(directory_.path("ipc.socket"));
  auto component = start();
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  std::atomic<int> right{0};
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        const bool good = (i + round) % 3 == 0;
        const auto verdict = judge(*component, good ? "good" : "bad");
        right += verdict == (good ? TokenVerdict::kGood : TokenVerdict::kBad);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 400);
}

TEST_F(ComponentTest, answers_everybody_when_it_stops) {
  SmallNucleus nucleus(directory_.path("ipc.socket"), "ValidateAuthorizationToken");
  auto component = start();
  std::atomic<int> unchecked{0};
  std::atomic<int> busy{0};
  constexpr int kClients = 300;
  for (int i = 0; i < kClients; ++i) {
    component->judge("good", [&](TokenVerdict verdict, const std::string& why) {
      EXPECT_EQ(verdict, TokenVerdict::kUnchecked);
      ++unchecked;
      if (why.find("too many") != std::string::npos) ++busy;
    });
  }
  EXPECT_EQ(busy, kClients - static_cast<int>(kRequestsMax));
  nucleus.wait_for(1);
  component->stop();
  EXPECT_EQ(unchecked, kClients);
  EXPECT_EQ(judge(*component, "good"), TokenVerdict::kUnchecked) << "also afterwards";
}

TEST_F(ComponentTest, comes_back_to_a_nucleus_that_was_replaced) {
  auto first = std::make_unique<SmallNucleus>(directory_.path("ipc.socket"));
  auto component = start();
  EXPECT_EQ(judge(*component, "good"), TokenVerdict::kGood);
  first.reset();
  SmallNucleus second(directory_.path("ipc.socket"));
  while (judge(*component, "good") != TokenVerdict::kGood) std::this_thread::yield();
  EXPECT_EQ(judge(*component, "bad"), TokenVerdict::kBad);
}

TEST_F(ComponentTest, does_not_wait_for_ever_for_a_nucleus_that_is_not_there) {
  auto component = start(20);
  component->announce(41'000, true);
  EXPECT_EQ(judge(*component, "good"), TokenVerdict::kUnchecked);
  EXPECT_EQ(judge(*component, "no\ntoken"), TokenVerdict::kBad);
  component->stop();
  EXPECT_THAT(metrics_.text(), HasSubstr("weir_greengrass_connected 0"));
}

TEST_F(ComponentTest, says_why_a_path_is_too_long_for_a_socket) {
  Client::Options options;
  options.socket = "/" + std::string(200, 's');
  auto client = Client::make(options, metrics_);
  client->start([](Instant) { return Instant::max(); });
  std::promise<Answer> got;
  ASSERT_TRUE(client->ask("UpdateState", "{}", std::chrono::milliseconds(20),
                          [&](const Answer& answer) { got.set_value(answer); }));
  EXPECT_EQ(got.get_future().get().kind, Answer::Kind::kUnanswered);
  client->stop(Duration::zero());
}

}  // namespace
}  // namespace weir::greengrass
