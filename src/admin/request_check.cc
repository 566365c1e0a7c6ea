#include "admin/request_check.h"

#include <algorithm>
#include <charconv>

namespace weir::admin {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kForbidden = 403;
constexpr unsigned kMisdirected = 421;
constexpr std::uint16_t kHttpPort = 80;

bool is_loopback_v4(std::string_view text) {
  int parts = 0;
  bool first_is_127 = false;
  while (true) {
    int value = -1;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const auto digits = stop - text.data();
    if (error != std::errc{} || value < 0 || value > 255 || digits > 3) return false;
    if (parts == 0) first_is_127 = value == 127;
    ++parts;
    text.remove_prefix(static_cast<std::size_t>(digits));
    if (text.empty()) break;
    if (text[0] != '.' || parts == 4) return false;
    text.remove_prefix(1);
  }
  return parts == 4 && first_is_127;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_our_host(const Provenance& request) {
  std::string_view name = request.host;
  std::string_view port;
  if (name.starts_with('[')) {
    const auto close = name.find(']');
    if (close == std::string_view::npos) return false;
    port = name.substr(close + 1);
    name = name.substr(1, close - 1);
    if (!port.empty() && port[0] != ':') return false;
  } else if (const auto colon = name.find(':'); colon != std::string_view::npos) {
    port = name.substr(colon);
    name = name.substr(0, colon);
  }
  std::uint16_t number = kHttpPort;
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || stop != port.data() + port.size()) return false;
  }
  if (number != request.port) return false;
  return equal_ignoring_case(name, "localhost") || name == "::1" || is_loopback_v4(name) ||
         name == request.local_address;
}

}  // namespace

unsigned check_provenance(const Provenance& request) {
  if (!is_our_host(request)) return kMisdirected;
  if (!request.origin.empty()) {
    constexpr std::string_view kScheme = "http://";
    const bool ours = request.origin.starts_with(kScheme) &&
                      equal_ignoring_case(request.origin.substr(kScheme.size()), request.host);
    if (!ours) return kForbidden;
  }
  if (equal_ignoring_case(request.sec_fetch_site, "cross-site")) return kForbidden;
  return kOk;
}

}  // namespace weir::admin
