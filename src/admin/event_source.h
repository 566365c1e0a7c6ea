#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weir::admin {

/// What one reader of a long-lived answer (server-sent events) gets. It is asked when its reader
/// has taken everything before, so nothing piles up for one that is slow: it misses what came
/// between, or hears of it later.
///
/// Threads: the admin thread only; must not wait for another thread.
class EventSource {
 public:
  virtual ~EventSource() = default;
  /// Appends what is new, as complete events, until about `bytes_max`; nothing if there is
  /// nothing. False: this was the last.
  virtual bool more(std::string& out, std::size_t bytes_max) = 0;
  /// How long after the reader has taken one answer it is asked for the next.
  [[nodiscard]] virtual Duration pause() const = 0;
};

/// Appends one event; `data` is one line.
void append_event(std::string& out, std::string_view name, std::string_view data);

/// A path whose answers are long-lived.
struct EventPage {
  std::string path;
  std::string about;  ///< one line for the list of pages
  /// Its events show what clients stored: the token is asked for where clients need one too.
  bool shows_payloads = false;
  /// `query` as it was sent. Errors: kNotFound, kInvalidArgument; else answered 503.
  std::function<Result<std::unique_ptr<EventSource>>(std::string_view query)> open;
};

/// The value of `name` in a query string, decoded; "" if it is not there or badly encoded.
std::string query_value(std::string_view query, std::string_view name);

}  // namespace weir::admin
