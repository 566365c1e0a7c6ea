#include "admin/admin.h"

#include "admin/metrics.h"
#include "admin/request_check.h"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace weir::admin {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A client that says exactly what a test wants, and hears everything.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    timeval limit{30, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void send(const std::string& text) const {
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t n = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the server has heard enough
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void finish_sending() const { ::shutdown(socket_, SHUT_WR); }

  // Everything until the server closes; "(reset)" or "(timeout)" appended if that happens.
  std::string all() {
    std::string text;
    char chunk[4096];
    while (true) {
      const ssize_t n = ::recv(socket_, chunk, sizeof chunk, 0);
      if (n > 0) text.append(chunk, static_cast<std::size_t>(n));
      if (n == 0) return text;
      if (n < 0) return text + (errno == ECONNRESET ? "(reset)" : "(timeout)");
    }
  }

  // Up to and with `end`.
  std::string until(const std::string& end) {
    std::string text;
    char c = 0;
    while (!text.ends_with(end)) {
      if (::recv(socket_, &c, 1, 0) != 1) return text + "(ended)";
      text += c;
    }
    return text;
  }

  // One response with a Content-Length.
  std::string one() {
    std::string text;
    char c = 0;
    while (text.find("\r\n\r\n") == std::string::npos) {
      if (::recv(socket_, &c, 1, 0) != 1) return text + "(ended)";
      text += c;
    }
    const auto at = text.find("Content-Length: ");
    std::size_t left = at == std::string::npos ? 0 : std::stoul(text.substr(at + 16));
    for (; left > 0; --left) {
      if (::recv(socket_, &c, 1, 0) != 1) return text + "(ended)";
      text += c;
    }
    return text;
  }

 private:
  int socket_;
  bool connected_ = false;
};

// Three events, then the end.
class Counting final : public EventSource {
 public:
  bool more(std::string& out, std::size_t) override {
    append_event(out, "count", std::to_string(++count_));
    return count_ < 3;
  }
  [[nodiscard]] Duration pause() const override { return Duration::zero(); }

 private:
  int count_ = 0;
};

// As much as the reader takes, for ever.
class Endless final : public EventSource {
 public:
  bool more(std::string& out, std::size_t bytes_max) override {
    append_event(out, "more", std::string(bytes_max, 'x'));
    return true;
  }
  [[nodiscard]] Duration pause() const override { return Duration::zero(); }
};

class Admin : public ::testing::Test {
 protected:
  void start(Options options = {}) {
    options.port = 0;
    Sources sources;
    sources.metrics_text = [] { return std::string("weir_test 1\n"); };
    sources.live = [this] { return live_.load(); };
    sources.ready = [this] { return ready_.load(); };
    sources.status_json = [] { return std::string("{\"streams\":[]}\n"); };
    const auto take = [this](std::string_view body, Reply reply) {
      order_ = body;
      if (answers_at_once_) {
        reply(200, "{\"done\":\"at once\"}");
      } else {
        reply_.set_value(std::move(reply));
      }
    };
    sources.orders.push_back({"/exports", "orders", false, take});
    sources.orders.push_back({"/streams", "orders of the dashboard", true, take});
    sources.figures.weir = [] { return WeirFigures{}; };
    sources.figures.next_stream = [](std::uint64_t after) {
      StreamFigures stream;
      stream.id = 1;
      stream.name = "pumps";
      return after == 0 ? std::optional(stream) : std::nullopt;
    };
    sources.figures.warnings = [](std::uint64_t) { return std::vector<WarningFigures>(); };
    const auto open = [](std::string_view query) -> Result<std::unique_ptr<EventSource>> {
      if (query_value(query, "stream") != "s p") return fail(Errc::kNotFound, "no such stream");
      return std::unique_ptr<EventSource>(std::make_unique<Counting>());
    };
    sources.events.push_back({"/tail", "messages", true, open});
    sources.events.push_back({"/endless", "too much", false, [](std::string_view) {
                                return Result<std::unique_ptr<EventSource>>(
                                    std::make_unique<Endless>());
                              }});
    sources.payloads_need_token = payloads_need_token_;
    sources.order_token = [this] { return token_; };
    sources.registry = &registry_;
    auto started = AdminServer::start(options, std::move(sources));
    ASSERT_TRUE(started) << started.error().what;
    server_ = std::move(*started);
  }
  void SetUp() override { start(); }

  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  std::string request(const std::string& method, const std::string& path,
                      const std::string& headers = {}) {
    RawClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host() + "\r\nConnection: close\r\n" +
                headers + "\r\n");
    return client.all();
  }
  std::string get(const std::string& path, const std::string& headers = {}) {
    return request("GET", path, headers);
  }
  std::string get_as(const std::string& host) {
    RawClient client(server_->port());
    client.send("GET /status HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
    return client.all();
  }

  [[nodiscard]] std::string order_text(const std::string& headers, const std::string& body) const {
    return "POST /exports HTTP/1.1\r\nHost: " + host() +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
  }
  std::string order(const std::string& headers, const std::string& body = "{}") {
    RawClient client(server_->port());
    client.send(order_text("Connection: close\r\n" + headers, body));
    return client.all();
  }

  std::string token_ = "secret";
  bool payloads_need_token_ = false;
  std::string order_;
  bool answers_at_once_ = true;
  std::promise<Reply> reply_;
  metrics::Registry registry_;
  std::atomic<bool> live_{true};
  std::atomic<bool> ready_{true};
  std::unique_ptr<AdminServer> server_;
};

TEST_F(Admin, answers_its_pages) {
  const auto metrics = get("/metrics");
  EXPECT_THAT(metrics, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(metrics, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics, EndsWith("\r\n\r\nweir_test 1\n"));
  const auto status = get("/status");
  EXPECT_THAT(status, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(status, EndsWith("\r\n\r\n{\"streams\":[]}\n"));
  EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get("/"), HasSubstr("/metrics"));
  EXPECT_THAT(get("/readyz?verbose"), StartsWith("HTTP/1.1 200 ")) << "a query is ignored";
}

TEST_F(Admin, says_when_something_is_wrong) {
  live_ = false;
  EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 200 "));
  ready_ = false;
  EXPECT_THAT(get("/readyz"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(Admin, head_has_the_head_only) {
  const auto head = request("HEAD", "/metrics");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(head, HasSubstr("Content-Length: 12\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
}

TEST_F(Admin, protects_what_it_answers) {
  for (const char* path : {"/", "/metrics", "/status", "/nothing"}) {
    const auto answer = get(path);
    EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none';"));
    EXPECT_THAT(answer, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(answer, HasSubstr("Referrer-Policy: no-referrer\r\n"));
    EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("Access-Control")));
  }
}

TEST_F(Admin, repeats_nothing_of_what_it_does_not_know) {
  const auto answer = get("/<script>alert(1)</script>");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(answer, Not(HasSubstr("script>")));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"}) {
    const auto refused = request(method, "/status");
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
  }
  EXPECT_THAT(request("BREW", "/pot"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(Admin, takes_orders_only_with_the_token) {
  for (const char* bad : {"", "Authorization: Bearer \r\n", "Authorization: Bearer secre\r\n",
                          "Authorization: Bearer secret0\r\n", "Authorization: Basic secret\r\n"}) {
    EXPECT_THAT(order(bad), StartsWith("HTTP/1.1 401 ")) << bad;
  }
  EXPECT_EQ(order_, "");
  const auto taken = order("Authorization: Bearer secret\r\n", "{\"order\":1}");
  EXPECT_THAT(taken, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(taken, EndsWith("{\"done\":\"at once\"}"));
  EXPECT_EQ(order_, "{\"order\":1}");
  EXPECT_THAT(order("Authorization: Bearer secret\r\nOrigin: http://evil.example\r\n"),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/exports", "Authorization: Bearer secret\r\n"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(Admin, takes_no_orders_while_there_is_no_token) {
  token_.clear();
  EXPECT_THAT(order("Authorization: Bearer \r\n"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(order("Authorization: Bearer\r\n"), StartsWith("HTTP/1.1 401 "));
}

TEST_F(Admin, an_order_is_answered_when_it_is_carried_out_by_whatever_thread) {
  answers_at_once_ = false;
  RawClient client(server_->port());
  client.send(order_text("Authorization: Bearer secret\r\n", "{}"));
  const auto reply = reply_.get_future().get();
  EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 200 ")) << "nobody waits for it";
  std::thread([&] { reply(409, "{\"error\":\"really?\"}"); }).join();
  EXPECT_THAT(client.one(), EndsWith("really?\"}"));
  client.send("GET /livez HTTP/1.1\r\nHost: " + host() + "\r\n\r\n");
  EXPECT_THAT(client.one(), EndsWith("ok\n")) << "the connection goes on";
}

TEST_F(Admin, an_answer_that_comes_after_the_end_goes_nowhere) {
  answers_at_once_ = false;
  RawClient client(server_->port());
  client.send(order_text("Authorization: Bearer secret\r\n", "{}"));
  const auto reply = reply_.get_future().get();
  server_.reset();
  reply(200, "{}");
  EXPECT_THAT(client.all(), Not(HasSubstr("(timeout)")));
}

TEST_F(Admin, serves_only_hosts_that_are_this_machine) {
  const auto port = std::to_string(server_->port());
  for (const auto& good : std::initializer_list<std::string>{
           "127.0.0.1:" + port, "localhost:" + port, "LocalHost:" + port, "[::1]:" + port,
           "127.8.8.8:" + port}) {
    EXPECT_THAT(get_as(good), StartsWith("HTTP/1.1 200 ")) << good;
  }
  for (const auto& bad : std::initializer_list<std::string>{
           "evil.example:" + port, std::string("127.0.0.1"), std::string("localhost"),
           std::string("127.0.0.1:1"), "127.0.0.1.evil.example:" + port, "127.0.0.1:" + port + "0",
           "[::1", "[::1]x:" + port, std::string(), "127.0.0.256:" + port,
           "localhost:" + port + "/"}) {
    EXPECT_THAT(get_as(bad), StartsWith("HTTP/1.1 421 ")) << bad;
  }
  RawClient no_host(server_->port());
  no_host.send("GET /status HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(no_host.all(), StartsWith("HTTP/1.1 421 "));
}

TEST_F(Admin, refuses_what_another_sites_page_sends) {
  EXPECT_THAT(get("/status", "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/status", "Origin: null\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/status", "Sec-Fetch-Site: cross-site\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(get("/status", "Origin: http://" + host() + "\r\nSec-Fetch-Site: same-origin\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, limits_header_and_body) {
  EXPECT_THAT(get("/status", "X-Long: " + std::string(20'000, 'x') + "\r\n"),
              StartsWith("HTTP/1.1 431 "));
  RawClient client(server_->port());
  client.send("POST /status HTTP/1.1\r\nHost: " + host() + "\r\nContent-Length: 100000\r\n\r\n" +
              std::string(100'000, 'x'));
  client.finish_sending();
  const auto answer = client.all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer, Not(HasSubstr("(reset)")));
}

TEST_F(Admin, answers_nonsense_with_bad_request_and_closes) {
  for (const auto& nonsense :
       {std::string("\x01\x02\x03\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET / HTTP/9.9\r\n\r\n"), std::string("GET / HTTP/1.1\r\nA B: c\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")}) {
    RawClient client(server_->port());
    client.send(nonsense);
    EXPECT_THAT(client.all(), StartsWith("HTTP/1.1 400 ")) << nonsense;
  }
  EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 200 ")) << "others do not notice";
}

TEST_F(Admin, one_connection_may_ask_again_and_again) {
  RawClient client(server_->port());
  const std::string ask = "GET /livez HTTP/1.1\r\nHost: " + host() + "\r\n\r\n";
  for (int i = 0; i < 5; ++i) {
    client.send(ask);
    EXPECT_THAT(client.one(), EndsWith("\r\n\r\nok\n"));
  }
  client.send(ask + ask);
  EXPECT_THAT(client.one(), EndsWith("ok\n"));
  EXPECT_THAT(client.one(), EndsWith("ok\n"));
}

TEST_F(Admin, counts_what_it_answers) {
  get("/livez");
  get("/nothing");
  get("/nothing");
  EXPECT_EQ(registry_.counter(kRequestsTotal, {"200"}).value(), 1U);
  EXPECT_EQ(registry_.counter(kRequestsTotal, {"404"}).value(), 2U);
}

TEST_F(Admin, has_room_for_so_many_connections_and_says_so) {
  server_.reset();
  Options options;
  options.connections_max = 3;
  start(options);
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<RawClient>(server_->port()));
    held.back()->send("GET /livez HTTP/1.1\r\nHost: " + host() + "\r\n\r\n");
    EXPECT_THAT(held.back()->one(), EndsWith("ok\n"));
  }
  EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(registry_.counter(kConnectionsRefusedTotal).value(), 1U);
  held.front()->send("GET /livez HTTP/1.1\r\nHost: " + host() + "\r\nConnection: close\r\n\r\n");
  held.front()->all();
  held.erase(held.begin());
  // The place is free again as soon as the server has seen the end.
  std::string answer;
  for (int i = 0; i < 10'000 && !answer.starts_with("HTTP/1.1 200 "); ++i) answer = get("/livez");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, a_browser_gets_the_dashboard_and_its_parts) {
  const auto page = get("/", "Accept: text/html,*/*\r\n");
  EXPECT_THAT(page, HasSubstr("Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page, Not(HasSubstr("unsafe")));
  EXPECT_THAT(page, Not(HasSubstr("https://"))) << "nothing comes from elsewhere";
  EXPECT_THAT(get("/dashboard"), HasSubstr("<!doctype html>"));
  EXPECT_THAT(get("/page/dashboard.css"), HasSubstr("text/css"));
  const auto script = get("/page/dashboard.js");
  EXPECT_THAT(script, HasSubstr("text/javascript"));
  const auto packed = get("/page/dashboard.js", "Accept-Encoding: gzip, br\r\n");
  EXPECT_THAT(packed, HasSubstr("Content-Encoding: gzip\r\n"));
  EXPECT_LT(packed.size(), script.size() / 2);
  EXPECT_THAT(get("/page/../admin.h"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(Admin, events_go_on_until_their_source_ends) {
  const auto answer = get("/tail?from=1&stream=s%20p");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none';"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nevent: count\ndata: 1\n\nevent: count\ndata: 2\n\n"
                               "event: count\ndata: 3\n\n"));
  EXPECT_THAT(get("/tail?stream=other"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(get("/tail?stream=s+p"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get("/tail?stream=s%2"), StartsWith("HTTP/1.1 404 ")) << "badly encoded";
  EXPECT_THAT(request("HEAD", "/tail?stream=s+p"), EndsWith("\r\n\r\n"));
}

TEST_F(Admin, payloads_are_for_those_with_the_token_where_programs_need_one_too) {
  server_.reset();
  payloads_need_token_ = true;
  start();
  EXPECT_THAT(get("/tail?stream=s+p"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(get("/tail?stream=s+p", "Authorization: Bearer wrong\r\n"),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(get("/tail?stream=s+p", "Authorization: Bearer secret\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(registry_.counter(kTokensRefusedTotal, {"missing"}).value(), 1U);
  EXPECT_EQ(registry_.counter(kTokensRefusedTotal, {"wrong"}).value(), 1U);
}

TEST_F(Admin, a_page_gives_orders_only_where_that_is_allowed) {
  const std::string token = "Authorization: Bearer secret\r\n";
  const std::string from_page = token + "Origin: http://" + host() + "\r\n";
  const std::string fetched = token + "Sec-Fetch-Site: same-origin\r\n";
  for (const auto& headers : {from_page, fetched}) {
    const auto refused = order(headers);
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(refused, HasSubstr("admin.actions"));
  }
  EXPECT_THAT(request("POST", "/streams", token), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(order_, "");
  EXPECT_THAT(order(token), StartsWith("HTTP/1.1 200 ")) << "the command line's";
  server_.reset();
  Options options;
  options.actions = true;
  start(options);
  const std::string origin = "Origin: http://" + host() + "\r\n";
  EXPECT_THAT(order(token + origin), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(order(origin), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(request("POST", "/streams", token), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, ends_a_connection_that_wants_to_speak_something_else) {
  RawClient client(server_->port());
  client.send("GET /events HTTP/1.1\r\nHost: " + host() +
              "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
  EXPECT_THAT(client.all(), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(registry_.counter(kUpgradesRefusedTotal).value(), 1U);
}

TEST_F(Admin, has_room_for_so_many_event_streams_and_says_so) {
  server_.reset();
  Options options;
  options.event_streams_max = 1;
  start(options);
  const std::string ask = "GET /events HTTP/1.1\r\nHost: " + host() + "\r\n\r\n";
  {
    RawClient first(server_->port());
    first.send(ask);
    EXPECT_THAT(first.until("\"complete\":true"), HasSubstr("\"name\":\"pumps\""));
    EXPECT_THAT(get("/events"), StartsWith("HTTP/1.1 503 "));
    EXPECT_EQ(registry_.counter(kEventStreamsEndedTotal, {"too_many"}).value(), 1U);
    EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 200 "));
  }
  // The place is free again as soon as the server has seen the end.
  std::string answer;
  for (int i = 0; i < 10'000 && !answer.starts_with("HTTP/1.1 200 "); ++i) {
    RawClient next(server_->port());
    next.send(ask);
    answer = next.until("\r\n\r\n");
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, lets_go_of_a_reader_that_takes_nothing_and_serves_the_others) {
  server_.reset();
  Options options;
  options.reader_timeout_ms = 100;
  start(options);
  RawClient slow(server_->port());
  slow.send("GET /endless HTTP/1.1\r\nHost: " + host() + "\r\n\r\n");
  while (registry_.counter(kEventStreamsEndedTotal, {"slow"}).value() == 0) {
    EXPECT_THAT(get("/livez"), StartsWith("HTTP/1.1 200 "));
  }
  // It gets what was on its way, which is bounded by what the sockets hold, and then the end.
  EXPECT_THAT(slow.all(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Admin, stops_while_somebody_reads_events) {
  RawClient reader(server_->port());
  reader.send("GET /events HTTP/1.1\r\nHost: " + host() + "\r\n\r\n");
  reader.until("\"complete\":true");
  server_.reset();
  EXPECT_THAT(reader.all(), Not(HasSubstr("(timeout)")));
}

TEST_F(Admin, names_a_port_that_is_in_use) {
  Options options;
  options.port = server_->port();
  const auto second = AdminServer::start(options, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_THAT(second.error().what, HasSubstr(std::to_string(server_->port())));
  EXPECT_THAT(second.error().what, HasSubstr("in use"));
}

TEST_F(Admin, refuses_options_that_make_no_sense) {
  Options options;
  options.bind_address = "nowhere";
  EXPECT_EQ(AdminServer::start(options, {}).error().code, Errc::kInvalidArgument);
  options = {};
  options.connections_max = 0;
  EXPECT_THAT(AdminServer::start(options, {}).error().what, HasSubstr("connections_max"));
}

TEST_F(Admin, stops_while_connections_are_open) {
  RawClient idle(server_->port());
  RawClient half(server_->port());
  half.send("GET /st");
  get("/livez");  // both were accepted before this one
  server_.reset();
  EXPECT_THAT(idle.all(), Not(HasSubstr("(timeout)")));
}

}  // namespace
}  // namespace weir::admin
