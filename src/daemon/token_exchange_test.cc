#include "daemon/token_exchange.h"

#include "daemon/testing.h"

#include <deque>
#include <fmt/format.h>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace weir::daemon {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Runs what is posted when the test asks for it, as the core thread would.
class Core final : public Executor {
 public:
  void post(std::function<void()> work) override {
    const MutexLock lock(mutex_);
    work_.push_back(std::move(work));
    posted_.notify_one();
  }
  void run_next() {
    std::function<void()> next;
    {
      const MutexLock lock(mutex_);
      const auto deadline = std::chrono::steady_clock::now() + weir::testing::kPatience;
      while (work_.empty()) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nothing was posted";
        posted_.wait_until(mutex_, deadline);
      }
      next = std::move(work_.front());
      work_.pop_front();
    }
    next();
  }

 private:
  Mutex mutex_;
  CondVar posted_;
  std::deque<std::function<void()>> work_ WEIR_GUARDED_BY(mutex_);
};

// The platform's endpoint: knows one token, and answers with credentials.
class Endpoint {
 public:
  explicit Endpoint(std::string answer_to_all = {}) : answer_to_all_(std::move(answer_to_all)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 16));
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Endpoint() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  [[nodiscard]] std::string url() const {
    return fmt::format("http://127.0.0.1:{}/2016-11-01/credentialprovider/", port_);
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void run() {
    while (true) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) return;
      std::string request;
      char chunk[1024];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(socket, chunk, sizeof chunk, 0);
        if (n <= 0) break;
        request.append(chunk, static_cast<std::size_t>(n));
      }
      ++asked_;
      std::string answer = answer_to_all_;
      if (answer.empty()) {
        const bool known = request.find("\r\nAuthorization: KNOWN\r\n") != std::string::npos;
        answer = known ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\":\"b\"}\n"
                       : "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
      }
      ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(socket);
    }
  }

  std::string answer_to_all_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> asked_{0};
  std::thread thread_;
};

// Accepts, and never says a word.
class SilentEndpoint {
 public:
  SilentEndpoint() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, ::listen(listener_, 16));
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~SilentEndpoint() {
    if (connection_ >= 0) ::close(connection_);
    ::close(listener_);
  }
  SilentEndpoint(const SilentEndpoint&) = delete;
  SilentEndpoint& operator=(const SilentEndpoint&) = delete;

  [[nodiscard]] std::string url() const { return fmt::format("http://127.0.0.1:{}/", port_); }
  void wait_for_a_connection() { connection_ = ::accept(listener_, nullptr, nullptr); }

 private:
  int listener_;
  int connection_ = -1;
  std::uint16_t port_ = 0;
};

struct Verdict {
  bool good = false;
  std::string why;
};

class TokenExchangeTest : public ::testing::Test {
 protected:
  Verdict ask(server::Verifier& verifier, const std::string& token) {
    std::optional<Verdict> verdict;
    verifier.verify(token, [&](server::TokenVerdict found, std::string why) {
      verdict = Verdict{found == server::TokenVerdict::kGood, std::move(why)};
    });
    if (!verdict) core_.run_next();
    EXPECT_TRUE(verdict.has_value());
    return verdict.value_or(Verdict{});
  }

  testing::LogCapture log_;
  ManualClock clock_;
  Core core_;
};

TEST_F(TokenExchangeTest, lets_in_whom_the_platform_knows) {
  Endpoint endpoint;
  auto verifier = make_token_exchange(endpoint.url(), clock_, core_);
  EXPECT_TRUE(ask(*verifier, "KNOWN").good);
  const auto stranger = ask(*verifier, "UNKNOWN-TOKEN");
  EXPECT_FALSE(stranger.good);
  EXPECT_THAT(stranger.why, HasSubstr("not known"));
  EXPECT_THAT(stranger.why + testing::LogCapture::all(), Not(HasSubstr("UNKNOWN-TOKEN")));
}

TEST_F(TokenExchangeTest, remembers_a_refusal_for_a_second_and_a_welcome_not_at_all) {
  Endpoint endpoint;
  auto verifier = make_token_exchange(endpoint.url(), clock_, core_);
  ask(*verifier, "UNKNOWN");
  ask(*verifier, "UNKNOWN");
  EXPECT_EQ(endpoint.asked(), 1);
  clock_.advance(std::chrono::seconds(1));
  ask(*verifier, "UNKNOWN");
  EXPECT_EQ(endpoint.asked(), 2);
  EXPECT_TRUE(ask(*verifier, "KNOWN").good);
  EXPECT_TRUE(ask(*verifier, "KNOWN").good);
  EXPECT_EQ(endpoint.asked(), 4);
}

TEST_F(TokenExchangeTest, refuses_when_the_platform_cannot_be_asked) {
  std::string url;
  { url = Endpoint().url(); }  // nobody listens there any more
  auto verifier = make_token_exchange(url, clock_, core_);
  const auto verdict = ask(*verifier, "KNOWN");
  EXPECT_FALSE(verdict.good);
  EXPECT_THAT(verdict.why, HasSubstr("cannot be asked"));
}

TEST_F(TokenExchangeTest, only_a_clear_yes_is_a_yes) {
  for (const char* answer :
       {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 None\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", "nonsense", ""}) {
    Endpoint endpoint(std::string(answer).empty() ? "\r\n" : answer);
    auto verifier = make_token_exchange(endpoint.url(), clock_, core_);
    EXPECT_FALSE(ask(*verifier, "KNOWN").good) << answer;
  }
}

TEST_F(TokenExchangeTest, never_sends_what_would_break_the_header) {
  Endpoint endpoint;
  auto verifier = make_token_exchange(endpoint.url(), clock_, core_);
  for (const auto& token : {std::string(), std::string("KNOWN\r\nX: y"), std::string("a\0b", 3),
                            std::string("\xff"), std::string(100'000, 'x')}) {
    EXPECT_FALSE(ask(*verifier, token).good);
  }
  EXPECT_EQ(endpoint.asked(), 0);
}

TEST_F(TokenExchangeTest, refuses_when_too_many_wait) {
  SilentEndpoint silent;
  auto verifier = make_token_exchange(silent.url(), clock_, core_);
  constexpr int kClients = 400;
  constexpr int kRoom = 256 + 1;  // so many wait, and one is being asked about
  int refused = 0;
  for (int i = 0; i < kClients; ++i) {
    verifier->verify("KNOWN", [&](server::TokenVerdict verdict, const std::string& why) {
      EXPECT_EQ(verdict, server::TokenVerdict::kUnchecked);
      EXPECT_THAT(why, HasSubstr("too many"));
      ++refused;
    });
  }
  while (refused < kClients - kRoom) core_.run_next();
}

TEST_F(TokenExchangeTest, ends_while_a_question_is_open) {
  SilentEndpoint silent;
  auto verifier = make_token_exchange(silent.url(), clock_, core_);
  verifier->verify("KNOWN", [](auto, const std::string&) { ADD_FAILURE() << "answered"; });
  silent.wait_for_a_connection();
  const auto begun = std::chrono::steady_clock::now();
  verifier.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

}  // namespace
}  // namespace weir::daemon
