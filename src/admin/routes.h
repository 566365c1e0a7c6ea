#pragma once

#include "admin/admin.h"
#include "admin/event_source.h"
#include "base/clock.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weir::admin {

class Feed;

/// A request whose provenance was found good, as far as answers depend on it.
struct Request {
  enum class Method : std::uint8_t { kGet, kHead, kPost, kOther };
  Method method = Method::kGet;
  std::string_view path;           ///< without the query
  std::string_view query;          ///< as sent
  std::string_view authorization;  ///< empty if absent, as all the following
  std::string_view accept;
  std::string_view accept_encoding;
  std::string_view upgrade;
  bool from_page = false;  ///< a browser sent it for a page, not a person or program by itself
  std::string_view body;
  std::string peer;  ///< whose address it is, for the log
};

/// An answer that is known at once.
struct Page {
  unsigned status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string_view fixed = {};     ///< in place of `body`: part of the program
  std::string_view encoding = {};  ///< Content-Encoding
  std::string_view allow = {};     ///< which methods there are, with 405
  Duration pause{0};               ///< it is sent only after this
  bool close = false;              ///< the connection ends with it
};

/// An answer that somebody gives later, once, on any thread.
struct Later {
  std::function<void(Reply)> start;
};

using Answer = std::variant<Page, Later, std::unique_ptr<EventSource>>;

/// Which paths there are, and who may ask for them. Threads: the admin thread.
class Routes {
 public:
  /// Lifetime: all outlive the routes. `feed` may be null: then there is no dashboard.
  Routes(const Options& options, const Sources& sources, Feed* feed);
  /// `Later` and events may refer to the request's texts, which stay until they have ended.
  [[nodiscard]] Answer answer(const Request& request);

 private:
  struct Route {
    Request::Method method;
    std::string path;
    std::string about;
    std::function<Answer(const Request&)> answer;
  };

  void get(std::string path, std::string about, std::function<Page(const Request&)> page);
  void add_order(const OrderPage& page);
  void add_events(const EventPage& page);
  void add_dashboard(Feed& feed);
  [[nodiscard]] Page index() const;
  [[nodiscard]] bool may(const Request& request, Page& refusal);

  const Options& options_;
  const Sources& sources_;
  std::vector<Route> routes_;
};

/// What is answered with a text for people.
Page text_page(unsigned status, std::string text);
/// {"error": ...}.
Page error_page(unsigned status, std::string_view error);

}  // namespace weir::admin
