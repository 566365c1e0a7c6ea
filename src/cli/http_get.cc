#include "cli/http_get.h"

#include "cli/http_transfer.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <memory>

namespace weir::cli {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;  // 10,000 streams with all their exports
constexpr long kOrderTimeoutMs = 15'000;  // the server itself gives up after ten seconds

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size * count > kAnswerBytesMax) return 0;
  body.append(data, size * count);
  return size * count;
}

Result<HttpAnswer> perform(CURL* curl, const std::string& host, std::int64_t port,
                           const std::string& path) {
  const std::string url = admin_url(host, port, path);
  HttpAnswer answer;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) {
    curl_off_t connected_us = 0;
    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    return fail(transfer_error(url, code, connected_us > 0));
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

auto no_curl() { return fail(Errc::kUnavailable, "libcurl does not start"); }

}  // namespace

Result<std::string> http_get(const std::string& host, std::int64_t port, const std::string& path,
                             Duration timeout) {
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return no_curl();
  curl_easy_setopt(
      curl.get(), CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count()));
  WEIR_TRY(HttpAnswer answer, perform(curl.get(), host, port, path));
  if (answer.status != 200) {
    return fail(Errc::kUnavailable,
                fmt::format("ask http://{}:{}{}: answered {}; is this weir's admin port? Another "
                            "one: --admin-port",
                            host, port, path, answer.status));
  }
  return std::move(answer.body);
}

Result<HttpAnswer> http_post(const std::string& host, std::int64_t port, const std::string& path,
                             const std::string& json, const std::string& token) {
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return no_curl();
  using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"),
                  curl_slist_free_all);
  const std::string authorization = "Authorization: Bearer " + token;
  if (!headers || curl_slist_append(headers.get(), authorization.c_str()) == nullptr) {
    return no_curl();
  }
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kOrderTimeoutMs);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(json.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, json.c_str());
  auto answer = perform(curl.get(), host, port, path);
  curl_off_t connected_us = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_CONNECT_TIME_T, &connected_us);
  if (!answer && connected_us > 0) {
    answer.error().what +=
        "; weir may still carry this order out: look at weir status before you give it again";
  }
  return answer;
}

}  // namespace weir::cli
