#include "cli/http_transfer.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <utility>

namespace weir::cli {
namespace {

constexpr std::size_t kHeldBytesMax = 64 * 1024 * 1024;  // as http_get

long milliseconds_of(Duration duration) {
  return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

}  // namespace

struct HttpTransfer::State {
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string url;
  std::string body;
  Duration first_byte_within{};
  Instant begun{};
  bool ended = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (multi != nullptr && easy != nullptr) curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    if (multi != nullptr) curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
  }

  static std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
    auto& state = *static_cast<State*>(to);
    if (state.body.size() + size * count > kHeldBytesMax) return 0;
    state.body.append(data, size * count);
    return size * count;
  }

  [[nodiscard]] bool connected() const {
    curl_off_t connected_us = 0;
    curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    return connected_us > 0;
  }
};

std::string admin_url(const std::string& host, std::int64_t port, const std::string& path) {
  const bool six = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}{}", six ? "[" : "", host, six ? "]" : "", port, path);
}

Error transfer_error(const std::string& url, int curl_code, bool connected) {
  if (curl_code == CURLE_COULDNT_CONNECT) {
    return {Errc::kUnavailable,
            fmt::format("ask {}: nobody listens there; is weir running, and is this its admin "
                        "port? Another one: --admin-port",
                        url)};
  }
  if (curl_code == CURLE_OPERATION_TIMEDOUT && connected) {
    return {Errc::kUnavailable,
            fmt::format("ask {}: it takes connections but gives no answer in time; if this is "
                        "weir's admin port (another one: --admin-port), weir hangs: keep its "
                        "log, then restart it",
                        url)};
  }
  return {Errc::kUnavailable,
          fmt::format("ask {}: {}; is this weir's admin port? Another one: --admin-port", url,
                      curl_easy_strerror(static_cast<CURLcode>(curl_code)))};
}

HttpTransfer::HttpTransfer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpTransfer::~HttpTransfer() = default;

Result<std::unique_ptr<HttpTransfer>> HttpTransfer::begin(const Request& request) {
  auto state = std::make_unique<State>();
  state->multi = curl_multi_init();
  state->easy = curl_easy_init();
  state->url = request.url;
  state->begun = SystemClock().now();
  state->first_byte_within = request.first_byte_within;
  if (!request.token.empty()) {
    state->headers = curl_slist_append(nullptr, ("Authorization: Bearer " + request.token).c_str());
  }
  if (state->multi == nullptr || state->easy == nullptr) {
    return fail(Errc::kUnavailable, "libcurl does not start");
  }
  CURL* easy = state->easy;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds_of(request.timeout));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5'000L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, state->headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, State::take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, state.get());
  curl_multi_add_handle(state->multi, easy);
  return std::unique_ptr<HttpTransfer>(new HttpTransfer(std::move(state)));
}

Result<void> HttpTransfer::wait(Duration timeout, const std::vector<int>& also) {
  int running = 0;
  std::vector<curl_waitfd> descriptors;
  descriptors.reserve(also.size());
  for (const int fd : also) descriptors.push_back({fd, CURL_WAIT_POLLIN, 0});
  const std::size_t before = state_->body.size();
  curl_multi_perform(state_->multi, &running);
  if (running > 0 && state_->body.size() == before) {
    curl_multi_poll(state_->multi, descriptors.data(),
                    static_cast<unsigned int>(descriptors.size()),
                    static_cast<int>(milliseconds_of(timeout)), nullptr);
    curl_multi_perform(state_->multi, &running);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(state_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    state_->ended = true;
    if (message->data.result != CURLE_OK) {
      return fail(transfer_error(state_->url, message->data.result, state_->connected()));
    }
  }
  const bool late = state_->first_byte_within > Duration::zero() && status() == 0 &&
                    SystemClock().now() - state_->begun > state_->first_byte_within;
  if (late && !state_->ended) {
    state_->ended = true;
    return fail(transfer_error(state_->url, CURLE_OPERATION_TIMEDOUT, state_->connected()));
  }
  return {};
}

bool HttpTransfer::ended() const { return state_->ended; }

long HttpTransfer::status() const {
  long status = 0;
  curl_easy_getinfo(state_->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::string HttpTransfer::take() { return std::exchange(state_->body, {}); }

}  // namespace weir::cli
