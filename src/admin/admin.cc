#include "admin/admin.h"

#include "admin/feed.h"
#include "admin/metrics.h"
#include "admin/request_check.h"
#include "admin/routes.h"
#include "base/log.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

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
// When nothing happens, a reader hears at least this often that weir is there.
constexpr auto kQuietMax = std::chrono::seconds(15);
// What is held for one reader of events at most, one event more.
constexpr std::size_t kPieceBytesMax = std::size_t{64} << 10;
constexpr std::size_t kDiscardMax = std::size_t{1} << 20;

// What all connections share. Only the admin thread touches it.
struct Shared {
  Options options;
  Sources sources;
  SystemClock clock;
  std::unique_ptr<Feed> feed;  // null: no dashboard
  Routes routes;
  std::uint16_t port = 0;
  std::int64_t connections = 0;
  std::int64_t event_streams = 0;

  Shared(const Options& o, Sources s)
      : options(o),
        sources(std::move(s)),
        feed(make_feed(options, sources, clock)),
        routes(options, sources, feed.get()) {}

  static std::unique_ptr<Feed> make_feed(const Options& options, const Sources& sources,
                                         Clock& clock) {
    if (!sources.figures.next_stream) return nullptr;
    return std::make_unique<Feed>(sources.figures,
                                  Feed::Terms{options.actions, sources.payloads_need_token}, clock);
  }

  void count(const metrics::Descriptor& descriptor) const {
    if (sources.registry != nullptr) sources.registry->counter(descriptor).add();
  }
  void count(const metrics::Descriptor& descriptor, const std::string& label) const {
    if (sources.registry != nullptr) sources.registry->counter(descriptor, {label}).add();
  }
  void connections_changed(std::int64_t by) {
    connections += by;
    if (sources.registry != nullptr) sources.registry->gauge(kConnections).set(connections);
  }
  void event_streams_changed(std::int64_t by) {
    event_streams += by;
    if (sources.registry != nullptr) sources.registry->gauge(kEventStreams).set(event_streams);
  }
};

// One connection: reads a request, answers it, and so on until either side has enough.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared& shared)
      : stream_(std::move(socket)), shared_(shared), later_(stream_.get_executor()) {
    shared_.connections_changed(1);
  }
  ~Session() {
    if (events_) shared_.event_streams_changed(-1);
    shared_.connections_changed(-1);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    if (shared_.connections > shared_.options.connections_max) {
      shared_.count(kConnectionsRefusedTotal);
      refuse(503, "too many connections\n");
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
      refuse(431, "header too large\n");
    } else if (error == http::error::body_limit) {
      refuse(413, "body too large\n");
    } else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      refuse(400, "bad request\n");
    } else {
      linger();
    }
  }

  // What is said to somebody whose request was not understood.
  void refuse(unsigned status, const char* text) {
    version_ = 11;
    keep_ = false;
    head_ = false;
    respond(text_page(status, text));
  }

  [[nodiscard]] std::string_view text_of(http::field field) const {
    const auto value = parser_->get()[field];
    return {value.data(), value.size()};
  }
  [[nodiscard]] std::string_view text_of(beast::string_view name) const {
    const auto value = parser_->get()[name];
    return {value.data(), value.size()};
  }

  [[nodiscard]] unsigned provenance() const {
    Provenance provenance;
    provenance.host = text_of(http::field::host);
    provenance.origin = text_of(http::field::origin);
    provenance.sec_fetch_site = text_of("Sec-Fetch-Site");
    error_code ignored;
    provenance.local_address = stream_.socket().local_endpoint(ignored).address().to_string();
    provenance.port = shared_.port;
    return check_provenance(provenance);
  }

  [[nodiscard]] Request request() const {
    const auto& message = parser_->get();
    Request request;
    if (message.method() == http::verb::head) {
      request.method = Request::Method::kHead;
    } else if (message.method() == http::verb::post) {
      request.method = Request::Method::kPost;
    } else if (message.method() != http::verb::get) {
      request.method = Request::Method::kOther;
    }
    const std::string_view target(message.target().data(), message.target().size());
    request.path = target.substr(0, target.find('?'));
    request.query = target.substr(std::min(target.size(), request.path.size() + 1));
    request.authorization = text_of(http::field::authorization);
    request.accept = text_of(http::field::accept);
    request.accept_encoding = text_of(http::field::accept_encoding);
    request.upgrade = text_of(http::field::upgrade);
    request.from_page = !text_of(http::field::origin).empty() || !text_of("Sec-Fetch-Site").empty();
    request.body = message.body();
    error_code ignored;
    request.peer = stream_.socket().remote_endpoint(ignored).address().to_string();
    return request;
  }

  void answer() {
    const auto& message = parser_->get();
    version_ = message.version();
    keep_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    if (const unsigned status = provenance(); status != 200) {
      keep_ = false;
      respond(text_page(status, status == 421 ? "this host is not served here\n" : "forbidden\n"));
      return;
    }
    Answer answer = shared_.routes.answer(request());
    if (auto* later = std::get_if<Later>(&answer)) {
      order(*later);
    } else if (auto* events = std::get_if<std::unique_ptr<EventSource>>(&answer)) {
      begin_events(std::move(*events));
    } else {
      auto& page = std::get<Page>(answer);
      if (page.close) keep_ = false;
      if (page.pause == Duration::zero()) {
        respond(std::move(page));
      } else {
        respond_after_pause(std::move(page));
      }
    }
  }

  void respond_after_pause(Page page) {
    later_.expires_after(page.pause);
    later_.async_wait([self = shared_from_this(), page = std::move(page)](error_code) mutable {
      self->respond(std::move(page));
    });
  }

  void order(const Later& later) {
    const std::uint64_t number = ++orders_;
    // Holds this connection until somebody answers.
    later_.expires_after(kOrderTimeout);
    later_.async_wait([self = shared_from_this(), number](error_code stopped) {
      if (stopped || self->answered_ >= number) return;
      self->answered_ = number;
      self->keep_ = false;
      self->respond(error_page(504, "it was not carried out in time; it may be later"));
    });
    later.start([weak = weak_from_this(), number](unsigned status, std::string json) {
      auto self = weak.lock();
      if (!self) return;
      // Moved along, so that a connection ends on the admin thread.
      const auto executor = self->stream_.get_executor();
      asio::post(executor,
                 [self = std::move(self), number, status, json = std::move(json)]() mutable {
                   if (self->answered_ >= number) return;
                   self->answered_ = number;
                   self->later_.cancel();
                   Page page = text_page(status, std::move(json));
                   page.content_type = "application/json";
                   self->respond(std::move(page));
                 });
    });
  }

  static beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

  template <class Message>
  void set_common_fields(Message& message, std::string_view content_type) const {
    message.set(http::field::content_type, view(content_type));
    message.set(http::field::cache_control, "no-store");
    message.set("Content-Security-Policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'");
    message.set("X-Content-Type-Options", "nosniff");
    message.set("Referrer-Policy", "no-referrer");
  }

  void respond(Page page) {
    shared_.count(kRequestsTotal, std::to_string(page.status));
    response_ = {};
    response_.version(version_);
    response_.result(page.status);
    set_common_fields(response_, page.content_type);
    if (!page.allow.empty()) response_.set(http::field::allow, view(page.allow));
    if (!page.encoding.empty()) response_.set(http::field::content_encoding, view(page.encoding));
    if (!page.fixed.empty()) page.body = page.fixed;
    response_.keep_alive(keep_);
    response_.content_length(page.body.size());
    if (!head_) response_.body() = std::move(page.body);
    stream_.expires_after(kRequestTimeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return;
                        if (self->keep_) {
                          self->read();
                        } else {
                          self->linger();
                        }
                      });
  }

  // --- long-lived answers: written as fast as the reader takes them, never more than one piece
  // is held for it ---

  void begin_events(std::unique_ptr<EventSource> source) {
    if (shared_.event_streams >= shared_.options.event_streams_max) {
      shared_.count(kEventStreamsEndedTotal, "too_many");
      respond(text_page(503, "too many event streams are open\n"));
      return;
    }
    shared_.count(kRequestsTotal, "200");
    http::response<http::empty_body> head;
    head.version(version_);
    head.result(http::status::ok);
    set_common_fields(head, "text/event-stream");
    head.keep_alive(false);
    std::ostringstream text;
    text << head.base();
    piece_ = text.str();
    if (head_) source.reset();
    events_ = std::move(source);
    if (events_) shared_.event_streams_changed(1);
    last_sent_ = std::chrono::steady_clock::now();
    stream_.expires_never();
    watch_for_end();
    write_piece(events_ == nullptr);
  }

  // The reader says nothing more; that it has gone is noticed here, also when nothing is sent.
  void watch_for_end() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](error_code error, std::size_t n) {
                              self->discarded_bytes_ += n;
                              if (!error && self->discarded_bytes_ < kDiscardMax) {
                                self->watch_for_end();
                              } else {
                                self->close();
                              }
                            });
  }

  void write_piece(bool last) {
    stream_.expires_after(std::chrono::milliseconds(shared_.options.reader_timeout_ms));
    asio::async_write(stream_, asio::buffer(piece_),
                      [self = shared_from_this(), last](error_code error, std::size_t) {
                        if (error == beast::error::timeout) {
                          self->shared_.count(kEventStreamsEndedTotal, "slow");
                        }
                        if (error || last) {
                          self->close();
                        } else {
                          self->wait_for_more();
                        }
                      });
  }

  void wait_for_more() {
    later_.expires_after(events_->pause());
    later_.async_wait([self = shared_from_this()](error_code stopped) {
      if (!stopped) self->write_more();
    });
  }

  void write_more() {
    piece_.clear();
    const bool goes_on = events_->more(piece_, kPieceBytesMax);
    const auto now = std::chrono::steady_clock::now();
    // So that both sides, and what stands between them, know that the other is there.
    if (piece_.empty() && now - last_sent_ >= kQuietMax) piece_ = ":\n\n";
    if (piece_.empty() && goes_on) {
      wait_for_more();
      return;
    }
    last_sent_ = now;
    write_piece(!goes_on);
  }

  void close() {
    later_.cancel();
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
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
                              if (!error && self->discarded_bytes_ < kDiscardMax) self->discard();
                            });
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  unsigned version_ = 11;  // of the present request, as the next two
  bool keep_ = false;
  bool head_ = false;
  std::array<char, 4096> discarded_{};
  std::size_t discarded_bytes_ = 0;
  asio::steady_timer later_;    // for one of: an order's end, a pause, more events
  std::uint64_t orders_ = 0;    // asked on this connection, one at a time
  std::uint64_t answered_ = 0;  // the last of them that was answered
  std::unique_ptr<EventSource> events_;
  std::string piece_;
  std::chrono::steady_clock::time_point last_sent_;
};

class BeastServer final : public AdminServer {
 public:
  BeastServer(const Options& options, Sources sources)
      : shared_(options, std::move(sources)), acceptor_(io_), pause_(io_), history_(io_) {}

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
    // On the thread of its own: with very many streams the first look would hold up the start.
    if (shared_.feed) asio::post(io_, [this] { take_history_points(); });
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

  // The dashboard shows hours when it is opened, so somebody must have looked all the time.
  void take_history_points() {
    shared_.feed->step();
    history_.expires_after(std::chrono::milliseconds(HistoryClock::kStepMs));
    history_.async_wait([this](error_code stopped) {
      if (!stopped) take_history_points();
    });
  }

  Shared shared_;  // sessions, which live in handlers of `io_`, use it until the end
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  asio::steady_timer history_;
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
  WEIR_RETURN_IF_ERROR(within("event_streams_max", event_streams_max, 0, 1'000));
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
