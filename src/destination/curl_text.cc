#include "destination/curl_text.h"

#include <array>
#include <cstdlib>
#include <curl/curl.h>
#include <string_view>

namespace weir::destination {
namespace {

// Those that libcurl reads.
constexpr std::array kProxyVariables = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
constexpr std::string_view kMask = "***";
constexpr std::size_t kPasswordBytesMin = 4;  // a shorter one is also part of plain words

void mask(std::string& text, std::string_view secret) {
  if (secret.empty()) return;
  for (auto at = text.find(secret); at != std::string::npos;
       at = text.find(secret, at + kMask.size())) {
    text.replace(at, secret.size(), kMask);
  }
}

void mask_proxy(std::string& text, std::string_view proxy) {
  const auto last_at = proxy.rfind('@');
  if (last_at == std::string_view::npos) return;
  mask(text, proxy);
  std::string_view user = proxy.substr(0, last_at);
  if (const auto scheme = user.find("://"); scheme != std::string_view::npos) {
    user.remove_prefix(scheme + 3);
  }
  mask(text, user);
  const auto colon = user.find(':');
  const auto password = colon == std::string_view::npos ? user : user.substr(colon + 1);
  if (password.size() >= kPasswordBytesMin) mask(text, password);
  // Where the password has an '@' that is not encoded, the rest of it looks like a host.
  for (auto at = user.find('@'); at != std::string_view::npos; at = user.find('@', at + 1)) {
    mask(text, std::string(user.substr(at + 1)) + '@');
  }
}

}  // namespace

std::string curl_failure_text(int code, const char* detail) {
  std::string text = detail[0] != '\0' ? detail : curl_easy_strerror(static_cast<CURLcode>(code));
  if (text.find("Unsupported proxy") != std::string::npos) {
    // libcurl goes on with the whole variable.
    return "the proxy in http_proxy, HTTPS_PROXY or ALL_PROXY is not a URL that can be used; "
           "percent-encode special characters of its user name and password";
  }
  for (const char* name : kProxyVariables) {
    if (const char* proxy = std::getenv(name); proxy != nullptr) mask_proxy(text, proxy);
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION && text.find("not yet valid") != std::string::npos) {
    text += "; is the clock set?";
  }
  if (code == CURLE_SSL_CERTPROBLEM) {
    text += "; is the key encrypted, or does it not belong to the certificate?";
  }
  return text;
}

}  // namespace weir::destination
