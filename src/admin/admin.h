#pragma once

#include "base/metrics.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weir::admin {

struct Options {
  std::string bind_address = "127.0.0.1";
  std::int64_t port = 8089;  ///< 0 = any free one; -1 = no admin port
  std::int64_t connections_max = 64;
  std::int64_t header_bytes_max = 16'384;
  std::int64_t body_bytes_max = 65'536;
  [[nodiscard]] Result<void> validate() const;
};

/// What the pages show. Called on the admin thread; must not wait for the core thread.
struct Sources {
  std::function<std::string()> metrics_text;  ///< /metrics
  std::function<bool()> live;                 ///< /livez
  std::function<bool()> ready;                ///< /readyz
  std::function<std::string()> status_json;   ///< /status
  /// POST /exports: a JSON order for an export. `reply` may be called on any thread, at once or
  /// later, once; without it the request is answered as too slow. Null: there is no such page.
  using Reply = std::function<void(unsigned status, std::string json)>;
  std::function<void(std::string_view body, Reply reply)> order;
  /// What such a request must carry as `Authorization: Bearer`; "" refuses all.
  std::function<std::string()> order_token;
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
