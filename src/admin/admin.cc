#include "admin/admin.h"

#include "admin/metrics.h"
#include "admin/request_check.h"
#include "base/log.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace weir::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kRequestTimeout = std::chrono::seconds(10);
constexpr auto kLingerTimeout = std::chrono::seconds(1);
constexpr auto kOrderTimeout = std::chrono::seconds(10);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

struct Page {
  unsigned status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string body;
};

constexpr std::string_view kIndex =
    "weir\n\n"
    "/metrics  figures for Prometheus\n"
    "/status   streams and exports, JSON (weir status shows it as a table)\n"
    "/exports  POST: orders for exports, see weir export\n"
    "/livez    200 while weir works\n"
    "/readyz   200 while weir takes messages\n";

// What all connections share. Only the admin thread touches it.
struct Shared {
  Options options;
  Sources sources;
  std::uint16_t port = 0;
  std::int64_t connections = 0;

  void count(unsigned status) const {
    if (sources.registry == nullptr) return;
    sources.registry->counter(kRequestsTotal, {std::to_string(status)}).add();
  }
  void connections_changed(std::int64_t by) {
    connections += by;
    if (sources.registry != nullptr) sources.registry->gauge(kConnections).set(connections);
  }

  [[nodiscard]] Page page(std::string_view path) const {
    if (path == "/metrics") {
      return {200, "text/plain; version=0.0.4; charset=utf-8", sources.metrics_text()};
    }
    if (path == "/status") return {200, "application/json", sources.status_json()};
    if (path == "/livez") return verdict(sources.live());
    if (path == "/readyz") return verdict(sources.ready());
    if (path == "/") return {200, "text/plain; charset=utf-8", std::string(kIndex)};
    return {404, "text/plain; charset=utf-8", "not found\n"};
  }
  // Whoever gives orders proves that the store's files are open to it. The time this takes does
  // not tell how much of a token was right.
  [[nodiscard]] bool may_order(std::string_view authorization) const {
    const std::string wanted = "Bearer " + sources.order_token();
    unsigned difference = authorization.size() == wanted.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(authorization.size(), wanted.size()); ++i) {
      difference |= authorization[i] == wanted[i] ? 0U : 1U;
    }
    return difference == 0 && wanted.size() > std::string_view("Bearer ").size();
  }
  static Page verdict(bool good) {
    return {good ? 200U : 503U, "text/plain; charset=utf-8", good ? "ok\n" : "not ok\n"};
  }
};

// One connection: reads a request, answers it, and so on until either side has enough.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared& shared)
      : stream_(std::move(socket)), shared_(shared), late_(stream_.get_executor()) {
    shared_.connections_changed(1);
  }
  ~Session() { shared_.connections_changed(-1); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    if (shared_.connections > shared_.options.connections_max) {
      if (shared_.sources.registry != nullptr) {
        shared_.sources.registry->counter(kConnectionsRefusedTotal).add();
      }
      stream_.expires_after(kRequestTimeout);
      respond({503, "text/plain; charset=utf-8", "too many connections\n"}, 11, false, false);
      return;
    }
    read();
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.options.header_bytes_max));
    parser_->body_limit(static_cast<std::uint64_t>(shared_.options.body_bytes_max));
    stream_.expires_after(kRequestTimeout);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->read_done(error); });
  }

  void read_done(error_code error) {
    if (!error) {
      answer();
    } else if (error == http::error::header_limit) {
      respond({431, "text/plain; charset=utf-8", "header too large\n"}, 11, false, false);
    } else if (error == http::error::body_limit) {
      respond({413, "text/plain; charset=utf-8", "body too large\n"}, 11, false, false);
    } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      respond({400, "text/plain; charset=utf-8", "bad request\n"}, 11, false, false);
    } else {
      linger();
    }
  }

  void answer() {
    const auto& request = parser_->get();
    const auto text = [&](http::field field) {
      const auto value = request[field];
      return std::string_view(value.data(), value.size());
    };
    const auto fetch_site = request["Sec-Fetch-Site"];
    Provenance provenance{text(http::field::host),
                          text(http::field::origin),
                          {fetch_site.data(), fetch_site.size()},
                          {},
                          shared_.port};
    error_code ignored;
    provenance.local_address = stream_.socket().local_endpoint(ignored).address().to_string();
    const bool head = request.method() == http::verb::head;
    const bool keep = request.keep_alive();
    Page page;
    page.status = check_provenance(provenance);
    if (page.status != 200) {
      page.body = page.status == 421 ? "this host is not served here\n" : "forbidden\n";
    } else if (request.method() == http::verb::post && path() == "/exports" &&
               shared_.sources.order) {
      order(text(http::field::authorization));
      return;
    } else if (!head && request.method() != http::verb::get) {
      page = {405, "text/plain; charset=utf-8", "method not allowed\n"};
    } else {
      page = shared_.page(path());
    }
    respond(std::move(page), request.version(), keep, head);
  }

  [[nodiscard]] std::string_view path() const {
    const auto& request = parser_->get();
    const std::string_view target(request.target().data(), request.target().size());
    return target.substr(0, target.find('?'));
  }

  void order(std::string_view authorization) {
    const auto& request = parser_->get();
    const unsigned version = request.version();
    const bool keep = request.keep_alive();
    if (!shared_.may_order(authorization)) {
      respond({401, "application/json", "{\"error\":\"the token is missing or wrong\"}\n"}, version,
              keep, false);
      return;
    }
    const std::uint64_t number = ++orders_;
    // Holds this connection until somebody answers.
    late_.expires_after(kOrderTimeout);
    late_.async_wait([self = shared_from_this(), number, version](error_code stopped) {
      if (stopped || self->answered_ >= number) return;
      self->answered_ = number;
      self->respond({504, "application/json",
                     "{\"error\":\"it was not carried out in time; it may be later\"}\n"},
                    version, false, false);
    });
    shared_.sources.order(request.body(), [weak = weak_from_this(), number, version, keep](
                                              unsigned status, std::string json) {
      auto self = weak.lock();
      if (!self) return;
      // Moved along, so that a connection ends on the admin thread.
      const auto executor = self->stream_.get_executor();
      asio::post(executor, [self = std::move(self), number, version, keep, status,
                            json = std::move(json)]() mutable {
        if (self->answered_ >= number) return;
        self->answered_ = number;
        self->late_.cancel();
        self->respond({status, "application/json", std::move(json)}, version, keep, false);
      });
    });
  }

  void respond(Page page, unsigned version, bool keep, bool head) {
    shared_.count(page.status);
    response_ = {};
    response_.version(version);
    response_.result(page.status);
    const auto view = [](std::string_view text) {
      return beast::string_view(text.data(), text.size());
    };
    response_.set(http::field::content_type, view(page.content_type));
    response_.set(http::field::cache_control, "no-store");
    response_.set("Content-Security-Policy",
                  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                  "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("Referrer-Policy", "no-referrer");
    if (page.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep);
    response_.content_length(page.body.size());
    if (!head) response_.body() = std::move(page.body);
    stream_.expires_after(kRequestTimeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep](error_code error, std::size_t) {
                        if (error) return;
                        if (keep) {
                          self->read();
                        } else {
                          self->linger();
                        }
                      });
  }

  // Closing with unread input would reset the connection and may take the answer back.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kLingerTimeout);
    discard();
  }
  void discard() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t n) {
                              self->discarded_bytes_ += n;
                              constexpr std::size_t kDiscardMax = 1 << 20;
                              if (!error && self->discarded_bytes_ < kDiscardMax) self->discard();
                            });
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::array<char, 4096> discarded_{};
  std::size_t discarded_bytes_ = 0;
  asio::steady_timer late_;
  std::uint64_t orders_ = 0;    // asked on this connection, one at a time
  std::uint64_t answered_ = 0;  // the last of them that was answered
};

class BeastServer final : public AdminServer {
 public:
  BeastServer(const Options& options, Sources sources)
      : shared_{options, std::move(sources)}, acceptor_(io_), pause_(io_) {}

  ~BeastServer() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }
  BeastServer(const BeastServer&) = delete;
  BeastServer& operator=(const BeastServer&) = delete;

  Result<void> listen() {
    error_code error;
    const std::string& text = shared_.options.bind_address;
    const auto address = asio::ip::make_address(text == "localhost" ? "127.0.0.1" : text, error);
    if (error) {
      return fail(Errc::kInvalidArgument,
                  "admin.bind_address: '" + log::escaped(text, 64) + "' is not an IP address");
    }
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(shared_.options.port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      const std::string where = text + " port " + std::to_string(shared_.options.port);
      if (error == asio::error::address_in_use) {
        return fail(Errc::kUnavailable,
                    "admin port: " + where +
                        " is in use by another program; stop it, or set admin.port to another "
                        "one (0 = any free one, -1 = none)");
      }
      return fail(Errc::kUnavailable, "admin port: cannot listen on " + where + ": " +
                                          error.message() +
                                          "; check admin.bind_address and "
                                          "admin.port");
    }
    shared_.port = acceptor_.local_endpoint(error).port();
    return {};
  }

  void serve() override {
    accept();
    thread_ = std::thread([this] {
      try {
        io_.run();
      } catch (const std::exception& error) {
        log::error("The admin port stopped working.", {{"error", error.what()}});
      }
    });
  }

  [[nodiscard]] std::uint16_t port() const override { return shared_.port; }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (!error) {
        std::make_shared<Session>(std::move(socket), shared_)->start();
        accept();
      } else if (error != asio::error::operation_aborted) {
        // Out of descriptors, most likely: a listening socket stays readable, so do not spin.
        pause_.expires_after(kAcceptPause);
        pause_.async_wait([this](error_code stopped) {
          if (!stopped) accept();
        });
      }
    });
  }

  Shared shared_;  // sessions, which live in handlers of `io_`, use it until the end
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::thread thread_;
};

}  // namespace

Result<void> Options::validate() const {
  const auto within = [](const char* name, std::int64_t value, std::int64_t min,
                         std::int64_t max) -> Result<void> {
    if (value >= min && value <= max) return {};
    return fail(Errc::kInvalidArgument, std::string(name) + " is " + std::to_string(value) +
                                            "; allowed are " + std::to_string(min) + " to " +
                                            std::to_string(max));
  };
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  WEIR_RETURN_IF_ERROR(within("port", port, -1, 65'535));
  WEIR_RETURN_IF_ERROR(within("connections_max", connections_max, 1, 10'000));
  WEIR_RETURN_IF_ERROR(within("header_bytes_max", header_bytes_max, 1024, kMiB));
  WEIR_RETURN_IF_ERROR(within("body_bytes_max", body_bytes_max, 0, kMiB));
  return {};
}

Result<std::unique_ptr<AdminServer>> AdminServer::bind(const Options& options, Sources sources) {
  WEIR_RETURN_IF_ERROR(options.validate());
  try {
    auto server = std::make_unique<BeastServer>(options, std::move(sources));
    WEIR_RETURN_IF_ERROR(server->listen());
    return std::unique_ptr<AdminServer>(std::move(server));
  } catch (const std::exception& error) {
    return fail(Errc::kUnavailable, std::string("admin port: ") + error.what());
  }
}

Result<std::unique_ptr<AdminServer>> AdminServer::start(const Options& options, Sources sources) {
  WEIR_TRY(auto server, bind(options, std::move(sources)));
  server->serve();
  return server;
}

}  // namespace weir::admin
