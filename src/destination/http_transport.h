#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination {

struct HttpHeader {
  std::string name;
  std::string value;
};

/// A body that is not in memory: read piece by piece while it is sent, perhaps more than once.
/// Threads: one at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  [[nodiscard]] virtual std::int64_t size() const = 0;
  /// Fills `to` with what stands at `offset`; never asked for more than there is. An error ends
  /// the request without an answer. Blocks: as reading does.
  virtual Result<void> read(std::int64_t offset, MutableBytes to) = 0;
};

/// One request. The body is a view: it must stay as it is until `send` returns.
struct HttpRequest {
  std::string method = "POST";  ///< GET and HEAD have no body
  std::string url;
  std::vector<HttpHeader> headers;  ///< Content-Length and Host are added if they are missing
  Bytes body;
  BodySource* source = nullptr;  ///< in place of `body`
  /// How long the answer may take without any progress, where that is longer than for others.
  std::int64_t patience_ms = 0;

  [[nodiscard]] std::int64_t body_bytes() const {
    return source != nullptr ? source->size() : static_cast<std::int64_t>(body.size());
  }
};

/// What came back. An answer counts only when `complete()`.
struct HttpResponse {
  int status = 0;                   ///< 0 when no status line was understood
  std::vector<HttpHeader> headers;  ///< names in lower case
  std::string body;
  bool connection_failed = false;  ///< no answer at all: DNS, connect, TLS, reset, timeout
  bool cancelled = false;          ///< the stop token interrupted it
  std::string error;               ///< why the answer is missing or only a part; never a secret

  /// True when the whole answer was read: its length or its end was right.
  [[nodiscard]] bool complete() const { return status != 0 && error.empty(); }
  /// The value of the first header with this lower-case name, or "".
  [[nodiscard]] std::string_view header(std::string_view lower_name) const;
};

/// Sends one HTTP request and reads the whole answer. The seam between destinations and the
/// network: production is curl, tests answer from a script.
///
/// Threads: one call at a time. Blocks: up to its deadlines; honours the stop token within 1 s.
/// Redirects are never followed; a request is never sent twice once a byte of an answer was seen.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual HttpResponse send(const HttpRequest& request, std::stop_token stop) = 0;
};

}  // namespace weir::destination
