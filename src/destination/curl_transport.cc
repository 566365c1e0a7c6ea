#include "destination/curl_transport.h"

#include "base/mutex.h"
#include "destination/address_rule.h"
#include "destination/curl_text.h"
#include "destination/url.h"
#include "exporter/bandwidth.h"
#include "exporter/destination.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <curl/curl.h>
#include <deque>
#include <mutex>
#include <span>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace weir::destination {
namespace {

constexpr std::size_t kHeaderBytesMax = 65'536;  // reliability.md E6
// An endpoint, a key and an upload's id of 1024 bytes each, of which every byte may take three
// characters. What clients and configuration name is checked where it comes in.
constexpr std::size_t kRequestUrlBytesMax = 16'384;
constexpr std::size_t kIdleHandlesMax = 16;  // more than workers are useless
constexpr long kConnectionsPerHandle = 4;
constexpr std::int64_t kSlowestBytesPerSecond = 16'384;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return;
  static_cast<void>(list.release());
  list.reset(longer);
}

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

class CurlPool {
 public:
  struct Handle {
    Easy easy;
    std::string origin;  // whom it talked to last
  };

  // The idle handle that talked to `origin` last, else the one idle longest, else a new one.
  Handle take(const std::string& origin) WEIR_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                [&](const Handle& handle) { return handle.origin == origin; });
      if (found != idle_.rend()) {
        Handle handle = std::move(*found);
        idle_.erase(std::next(found).base());
        return handle;
      }
      if (idle_.size() >= kIdleHandlesMax) {
        Handle handle = std::move(idle_.front());
        idle_.pop_front();
        handle.origin = origin;
        return handle;
      }
    }
    return {Easy(curl_easy_init()), origin};
  }

  void give_back(Handle handle) WEIR_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (idle_.size() < kIdleHandlesMax) idle_.push_back(std::move(handle));
  }

 private:
  Mutex mutex_;
  std::deque<Handle> idle_ WEIR_GUARDED_BY(mutex_);
};

namespace {

// What the callbacks of one request share.
struct Exchange {
  const CurlSettings& settings;
  const HttpRequest& request;
  exporter::BandwidthLimiter& bandwidth;
  Clock& clock;
  std::stop_token stop;

  HttpResponse response = {};
  std::int64_t sent = 0;
  std::size_t header_bytes = 0;
  bool head_is_whole = false;  // the empty line behind the headers was read
  curl_off_t uploaded = 0;
  curl_off_t downloaded = 0;
  Instant moved_at{};  // last progress in either direction
  Instant deadline{};  // of the whole request
  std::int64_t stall_timeout_ms = 0;
  const char* verdict = nullptr;  // why we ended it ourselves
  std::string source_error = {};  // why the body could not be read
  std::string refused_address = {};

  void moved() { moved_at = clock.now(); }
};

std::int64_t priority_of(const CurlSettings& settings) {
  return settings.priority ? settings.priority->load() : exporter::kPriorityLowest;
}

std::size_t send_piece(char* to, std::size_t, std::size_t room, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const HttpRequest& request = exchange.request;
  auto bytes = static_cast<std::size_t>(
      std::min(static_cast<std::int64_t>(room), request.body_bytes() - exchange.sent));
  if (bytes == 0) return 0;
  if (!exchange.bandwidth.unlimited()) {
    bytes = std::min(bytes, std::size_t{exporter::BandwidthLimiter::kPieceBytes});
    const Instant before = exchange.clock.now();
    const bool allowed = exchange.bandwidth.acquire(static_cast<std::int64_t>(bytes),
                                                    priority_of(exchange.settings), exchange.stop);
    if (!allowed) return CURL_READFUNC_ABORT;
    exchange.moved();
    exchange.deadline += exchange.moved_at - before;
  }
  if (request.source != nullptr) {
    const auto read =
        request.source->read(exchange.sent, std::as_writable_bytes(std::span<char>(to, bytes)));
    if (!read) {
      exchange.source_error = read.error().what;
      return CURL_READFUNC_ABORT;
    }
  } else {
    std::memcpy(to, request.body.data() + exchange.sent, bytes);
  }
  exchange.sent += static_cast<std::int64_t>(bytes);
  return bytes;
}

// curl sends the body again when a kept connection turns out to be dead before any answer.
int rewind_body(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0 || offset > exchange.request.body_bytes()) {
    return CURL_SEEKFUNC_FAIL;
  }
  exchange.sent = offset;
  return CURL_SEEKFUNC_OK;
}

std::size_t take_header(char* data, std::size_t, std::size_t bytes, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.moved();
  exchange.header_bytes += bytes;
  if (exchange.header_bytes > kHeaderBytesMax) {
    exchange.verdict = "the answer has more than 64 KiB of headers";
    return 0;
  }
  const std::string_view line = trimmed({data, bytes});
  if (line.empty()) exchange.head_is_whole = true;
  if (line.starts_with("HTTP/")) {
    exchange.head_is_whole = false;
    exchange.response.headers.clear();
    return bytes;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return bytes;
  HttpHeader header{std::string(line.substr(0, colon)),
                    std::string(trimmed(line.substr(colon + 1)))};
  for (char& c : header.name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  exchange.response.headers.push_back(std::move(header));
  return bytes;
}

std::size_t take_body(char* data, std::size_t, std::size_t bytes, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.response.body.size() + bytes >
      static_cast<std::size_t>(exchange.settings.response_bytes_max)) {
    exchange.verdict = "the answer is larger than weir reads";
    return 0;
  }
  exchange.response.body.append(data, bytes);
  return bytes;
}

// Called at least once a second: the place where stop and deadlines take effect.
int watch(void* user, curl_off_t, curl_off_t downloaded, curl_off_t, curl_off_t uploaded) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.stop.stop_requested()) return 1;
  const Instant now = exchange.clock.now();
  if (downloaded != exchange.downloaded || uploaded != exchange.uploaded) {
    exchange.downloaded = downloaded;
    exchange.uploaded = uploaded;
    exchange.moved_at = now;
  }
  if (now - exchange.moved_at >= std::chrono::milliseconds(exchange.stall_timeout_ms)) {
    exchange.verdict = "no progress within the stall timeout";
    return 1;
  }
  if (now >= exchange.deadline) {
    exchange.verdict = "the whole request took too long";
    return 1;
  }
  return 0;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.settings.client_chosen_target) {
    if (const char* why = address_refusal(&address->addr, exchange.settings.own_ports)) {
      exchange.refused_address = why;
      return CURL_SOCKET_BAD;
    }
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

HeaderList header_list(const HttpRequest& request) {
  HeaderList list;
  bool has_type = false;
  for (const HttpHeader& header : request.headers) {
    has_type = has_type || same_name(header.name, "Content-Type");
    // curl leaves out a header that has nothing but blanks behind its colon; it may be signed.
    append(list,
           trimmed(header.value).empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  // No waiting for "100 Continue", and no content type that curl makes up.
  append(list, "Expect:");
  if (!has_type) append(list, "Content-Type:");
  return list;
}

// `curl_easy_setopt` of these options fails only when memory is out.
void set_request(CURL* easy, Exchange& exchange, curl_slist* headers) {
  const HttpRequest& request = exchange.request;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  if (request.method == "GET") {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  } else if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body_bytes()));
    if (request.method != "POST") {
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, send_piece);
  curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &exchange);
}

void set_rules(CURL* easy, const CurlSettings& settings) {
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // A resolver thread that hangs is left behind instead of waited for.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, kConnectionsPerHandle);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // Our headers carry credentials: they go to the target, never to a proxy's CONNECT.
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (settings.bypass_proxies) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  if (settings.total_timeout_ms > 0) {
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(settings.total_timeout_ms));
  }
  if (!settings.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  }
  if (!settings.client_certificate_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, settings.client_certificate_file.c_str());
  }
  if (!settings.client_key_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLKEY, settings.client_key_file.c_str());
  }
  // Without one, OpenSSL asks for the pass phrase on the terminal and waits.
  curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
}

std::string failure_text(CURLcode code, const char* detail, const Exchange& exchange) {
  if (!exchange.refused_address.empty()) {
    return "weir does not connect to this target for a client: " + exchange.refused_address;
  }
  if (!exchange.source_error.empty()) return exchange.source_error;
  if (exchange.verdict != nullptr) return exchange.verdict;
  return curl_failure_text(code, detail);
}

class CurlTransport final : public HttpTransport {
 public:
  CurlTransport(CurlSettings settings, std::shared_ptr<CurlPool> pool,
                std::shared_ptr<exporter::BandwidthLimiter> bandwidth, Clock& clock)
      : settings_(std::move(settings)),
        pool_(std::move(pool)),
        bandwidth_(std::move(bandwidth)),
        clock_(clock) {}

  HttpResponse send(const HttpRequest& request, std::stop_token stop) override {
    const auto url = parse_url(request.url, kRequestUrlBytesMax);
    if (!url) {
      HttpResponse response;
      response.error = url.error().what;
      return response;
    }
    CurlPool::Handle handle = pool_->take(url->origin());
    if (!handle.easy) {
      HttpResponse response;
      response.error = "out of memory for a connection";
      return response;
    }
    HttpResponse response = perform(handle.easy.get(), request, std::move(stop));
    curl_easy_reset(handle.easy.get());
    pool_->give_back(std::move(handle));
    return response;
  }

 private:
  HttpResponse perform(CURL* easy, const HttpRequest& request, std::stop_token stop) {
    Exchange exchange{settings_, request, *bandwidth_, clock_, std::move(stop)};
    exchange.moved();
    exchange.stall_timeout_ms = std::max(settings_.stall_timeout_ms, request.patience_ms);
    exchange.deadline =
        exchange.moved_at +
        std::chrono::milliseconds(settings_.connect_timeout_ms + 2 * exchange.stall_timeout_ms +
                                  request.body_bytes() / kSlowestBytesPerSecond * 1000);
    const HeaderList headers = header_list(request);
    std::array<char, CURL_ERROR_SIZE> detail{};
    set_rules(easy, settings_);
    set_request(easy, exchange, headers.get());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail.data());
    const CURLcode code = curl_easy_perform(easy);

    HttpResponse& response = exchange.response;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    if (code == CURLE_OK) {
      // curl takes a connection that ends between two headers for the end of an empty answer.
      if (!exchange.head_is_whole) response.error = "the answer ends inside its headers";
      return std::move(response);
    }

    long proxy_status = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status == 407) {
      response.status = 407;  // whole in itself: the proxy wants other credentials
      return std::move(response);
    }
    response.cancelled = exchange.stop.stop_requested();
    response.error = response.cancelled ? "interrupted because weir or the export is stopping"
                                        : failure_text(code, detail.data(), exchange);
    const bool nonsense = code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL ||
                          exchange.header_bytes > 0;
    response.connection_failed =
        !response.cancelled && status == 0 && !nonsense && exchange.source_error.empty();
    return std::move(response);
  }

  const CurlSettings settings_;
  const std::shared_ptr<CurlPool> pool_;
  const std::shared_ptr<exporter::BandwidthLimiter> bandwidth_;
  Clock& clock_;
};

void start_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

std::shared_ptr<CurlPool> make_curl_pool() { return std::make_shared<CurlPool>(); }

std::unique_ptr<HttpTransport> make_curl_transport(
    CurlSettings settings, std::shared_ptr<CurlPool> pool,
    std::shared_ptr<exporter::BandwidthLimiter> bandwidth, Clock& clock) {
  start_curl_once();
  return std::make_unique<CurlTransport>(std::move(settings), std::move(pool), std::move(bandwidth),
                                         clock);
}

}  // namespace weir::destination
