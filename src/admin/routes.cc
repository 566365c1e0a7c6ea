#include "admin/routes.h"

#include "admin/feed.h"
#include "admin/metrics.h"
#include "admin/page_files.h"
#include "base/log.h"

#include <algorithm>
#include <utility>

namespace weir::admin {
namespace {

// Guessing is hopeless; this keeps a program that tries all the same from being busy with it.
constexpr auto kWrongTokenPause = std::chrono::milliseconds(250);

enum class Token : std::uint8_t { kRight, kMissing, kWrong };

// Whoever shows it proves that the store's files are open to it. The time this takes does not tell
// how much of a token was right.
Token check_token(std::string_view authorization, const std::string& token) {
  if (authorization.empty()) return Token::kMissing;
  const std::string wanted = "Bearer " + token;
  unsigned difference = authorization.size() == wanted.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(authorization.size(), wanted.size()); ++i) {
    difference |= authorization[i] == wanted[i] ? 0U : 1U;
  }
  return difference == 0 && !token.empty() ? Token::kRight : Token::kWrong;
}

unsigned status_of(Errc code) {
  if (code == Errc::kInvalidArgument) return 400;
  return code == Errc::kNotFound ? 404 : 503;
}

std::string_view content_type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

Page page_of(const PageFile& file, const Request& request) {
  Page page;
  page.content_type = content_type_of(file.name);
  const bool packed = request.accept_encoding.find("gzip") != std::string_view::npos;
  page.fixed = packed ? file.gzip : file.plain;
  if (packed) page.encoding = "gzip";
  return page;
}

Page verdict(bool good) { return text_page(good ? 200 : 503, good ? "ok\n" : "not ok\n"); }

}  // namespace

Page text_page(unsigned status, std::string text) {
  Page page;
  page.status = status;
  page.body = std::move(text);
  return page;
}

// `error` is a sentence of ours without anything from outside.
Page error_page(unsigned status, std::string_view error) {
  Page page = text_page(status, std::string("{\"error\":\"").append(error) + "\"}\n");
  page.content_type = "application/json";
  return page;
}

Routes::Routes(const Options& options, const Sources& sources, Feed* feed)
    : options_(options), sources_(sources) {
  get("/metrics", "figures for Prometheus", [this](const Request&) {
    Page page = text_page(200, sources_.metrics_text());
    page.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return page;
  });
  get("/status", "streams and exports, JSON (weir status shows it as a table)",
      [this](const Request&) {
        Page page = text_page(200, sources_.status_json());
        page.content_type = "application/json";
        return page;
      });
  get("/livez", "200 while weir works",
      [this](const Request&) { return verdict(sources_.live()); });
  get("/readyz", "200 while weir takes messages",
      [this](const Request&) { return verdict(sources_.ready()); });
  if (feed != nullptr) {
    add_dashboard(*feed);
  } else {
    get("/", "", [this](const Request&) { return index(); });
  }
  for (const auto& document : sources_.documents) {
    get(document.path, document.about, [&document](const Request&) {
      Page page = text_page(200, document.json());
      page.content_type = "application/json";
      return page;
    });
  }
  for (const auto& order : sources_.orders) add_order(order);
  for (const auto& events : sources_.events) add_events(events);
}

Answer Routes::answer(const Request& request) {
  // A page may open as many as it likes without being stopped by its origin; each ends here.
  if (!request.upgrade.empty()) {
    if (sources_.registry != nullptr) sources_.registry->counter(kUpgradesRefusedTotal).add();
    Page page = text_page(400, "WebSockets and other protocols are not spoken here\n");
    page.close = true;
    return page;
  }
  const auto method =
      request.method == Request::Method::kHead ? Request::Method::kGet : request.method;
  for (const auto& route : routes_) {
    if (route.path == request.path && route.method == method) return route.answer(request);
  }
  if (method != Request::Method::kGet) {
    Page page = text_page(405, "method not allowed\n");
    page.allow = "GET, HEAD";
    return page;
  }
  return text_page(404, "not found\n");
}

void Routes::get(std::string path, std::string about, std::function<Page(const Request&)> page) {
  routes_.push_back({Request::Method::kGet, std::move(path), std::move(about),
                     [page = std::move(page)](const Request& request) { return page(request); }});
}

void Routes::add_dashboard(Feed& feed) {
  for (const PageFile& file : page_files()) {
    const auto show = [&file](const Request& request) { return page_of(file, request); };
    if (file.name != "index.html") {
      get("/page/" + std::string(file.name), "", show);
      continue;
    }
    get("/dashboard", "the dashboard, for a browser", show);
    // A browser is shown the dashboard at once, a program the list of what there is.
    get("/", "", [this, show](const Request& request) {
      const bool browser = request.accept.find("text/html") != std::string_view::npos;
      return browser ? show(request) : index();
    });
  }
  get("/history", "", [&feed](const Request& request) {
    Page page = text_page(200, feed.history(query_value(request.query, "streams"),
                                            query_value(request.query, "points") == "short"));
    page.content_type = "application/json";
    return page;
  });
  routes_.push_back({Request::Method::kGet, "/events", "what the dashboard shows, as it changes",
                     [&feed](const Request&) -> Answer { return feed.reader(); }});
}

void Routes::add_order(const OrderPage& order) {
  const auto take = [this, &order](const Request& request) -> Answer {
    // What a page sends is taken only where somebody has allowed it; a program that read the token
    // from the store is the command line's.
    if ((request.from_page || order.for_pages) && !options_.actions) {
      return error_page(403,
                        "actions of the dashboard are off; admin.actions: true in the "
                        "configuration turns them on");
    }
    Page refusal;
    if (!may(request, refusal)) return refusal;
    return Later{
        [&order, body = request.body](Reply reply) { order.take(body, std::move(reply)); }};
  };
  routes_.push_back({Request::Method::kPost, order.path, order.about, take});
}

void Routes::add_events(const EventPage& events) {
  const auto open = [this, &events](const Request& request) -> Answer {
    Page refusal;
    if (events.shows_payloads && sources_.payloads_need_token && !may(request, refusal)) {
      return refusal;
    }
    auto source = events.open(request.query);
    if (!source) {
      return text_page(status_of(source.error().code), source.error().what + "\n");
    }
    return std::move(*source);
  };
  routes_.push_back({Request::Method::kGet, events.path, events.about, open});
}

bool Routes::may(const Request& request, Page& refusal) {
  const Token token = check_token(request.authorization, sources_.order_token());
  if (token == Token::kRight) return true;
  const bool wrong = token == Token::kWrong;
  if (sources_.registry != nullptr) {
    sources_.registry->counter(kTokensRefusedTotal, {wrong ? "wrong" : "missing"}).add();
  }
  refusal = error_page(401,
                       "the token is missing or wrong; it is new with each start, in the file "
                       "admin-token of the store");
  if (wrong) {
    log::warn("A request to the admin port with a wrong token was refused.",
              {{"path", request.path}, {"from", request.peer}});
    refusal.pause = kWrongTokenPause;
  }
  return false;
}

Page Routes::index() const {
  std::size_t widest = 0;
  for (const auto& route : routes_) widest = std::max(widest, route.path.size());
  std::string text = "weir\n\n";
  for (const auto& route : routes_) {
    if (route.about.empty()) continue;
    text += route.path + std::string(widest + 2 - route.path.size(), ' ');
    text += (route.method == Request::Method::kPost ? "POST: " : "") + route.about + "\n";
  }
  return text_page(200, std::move(text));
}

}  // namespace weir::admin
