#pragma once

#include "admin/event_source.h"
#include "admin/figures.h"
#include "base/metrics.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::admin {

struct Options {
  std::string bind_address = "127.0.0.1";
  std::int64_t port = 8089;  ///< 0 = any free one; -1 = no admin port
  std::int64_t connections_max = 64;
  std::int64_t header_bytes_max = 16'384;
  std::int64_t body_bytes_max = 65'536;
  std::int64_t event_streams_max = 16;  ///< long-lived answers, which count as connections too
  bool actions = false;                 ///< orders may come from a page in a browser
  /// A reader of events that takes nothing for so long is let go. Tests shorten it; no setting.
  std::int64_t reader_timeout_ms = 30'000;
  [[nodiscard]] Result<void> validate() const;
};

/// Answers an order with an HTTP status and JSON; on any thread, at once or later, once.
using Reply = std::function<void(unsigned status, std::string json)>;

/// A path that takes orders: POST, with the admin token.
struct OrderPage {
  std::string path;
  std::string about;       ///< one line for the list of pages
  bool for_pages = false;  ///< only with `Options::actions`, whoever asks
  /// `body` is valid during the call only. Without a reply the request is answered as too slow.
  std::function<void(std::string_view body, Reply reply)> take;
};

/// A path that shows a JSON document.
struct Document {
  std::string path;
  std::string about;  ///< one line for the list of pages
  std::function<std::string()> json;
};

/// What the pages show. Called on the admin thread; must not wait for another thread.
struct Sources {
  std::function<std::string()> metrics_text;  ///< /metrics
  std::function<bool()> live;                 ///< /livez
  std::function<bool()> ready;                ///< /readyz
  std::function<std::string()> status_json;   ///< /status
  /// The dashboard and what it reads, /events and /history; not there without `next_stream`.
  FigureSources figures;
  std::vector<Document> documents;
  std::vector<OrderPage> orders;
  std::vector<EventPage> events;
  /// What an order must carry as `Authorization: Bearer`; "" refuses all.
  std::function<std::string()> order_token;
  /// Clients must say who they are, so events that show payloads ask for the token too.
  bool payloads_need_token = false;
  metrics::Registry* registry = nullptr;  ///< where requests are counted; outlives the server
};

/// HTTP for operators, on its own thread, so that a stuck daemon can still be asked why.
class AdminServer {
 public:
  /// Binds and listens; nobody is answered, and `sources` not asked, before `serve`.
  /// Errors: kUnavailable (port in use), kInvalidArgument.
  static Result<std::unique_ptr<AdminServer>> bind(const Options& options, Sources sources);
  /// `bind` and `serve`.
  static Result<std::unique_ptr<AdminServer>> start(const Options& options, Sources sources);
  virtual ~AdminServer() = default;  ///< stops and joins
  virtual void serve() = 0;
  /// The port in use, also when 0 was asked for.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

}  // namespace weir::admin
