#include "cli/http_get.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>

namespace weir::cli {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;  // 10,000 streams with all their exports
constexpr long kTimeoutMs = 5'000;

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size * count > kAnswerBytesMax) return 0;
  body.append(data, size * count);
  return size * count;
}

}  // namespace

Result<std::string> http_get(const std::string& host, std::int64_t port, const std::string& path) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                 curl_easy_cleanup);
  if (!curl) return fail(Errc::kUnavailable, "libcurl does not start");
  const bool six = host.find(':') != std::string::npos;
  const std::string url =
      fmt::format("http://{}{}{}:{}{}", six ? "[" : "", host, six ? "]" : "", port, path);
  std::string body;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code == CURLE_COULDNT_CONNECT) {
    return fail(Errc::kUnavailable,
                fmt::format("ask {}: nobody listens there; is weir running, and is this its admin "
                            "port? Another one: --admin-port",
                            url));
  }
  if (code != CURLE_OK) {
    return fail(Errc::kUnavailable, fmt::format("ask {}: {}; is this weir's admin port? Another "
                                                "one: --admin-port",
                                                url, curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    return fail(Errc::kUnavailable,
                fmt::format("ask {}: answered {}; is this weir's admin port? Another one: "
                            "--admin-port",
                            url, status));
  }
  return body;
}

}  // namespace weir::cli
