#include "destination/url.h"

#include "base/ascii.h"

#include <algorithm>
#include <charconv>

namespace weir::destination {
namespace {

std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

tl::unexpected<Error> refuse(const char* why) {
  return fail(Errc::kInvalidArgument, std::string("the URI ") + why);
}

Result<void> check_characters(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    const std::string why = "is longer than " + std::to_string(bytes_max) + " bytes";
    return refuse(why.c_str());
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) {
      return refuse("contains a space, a control character or a byte outside ASCII");
    }
  }
  return {};
}

Result<void> read_port(std::string_view text, Url& url) {
  if (text.empty()) return refuse("has ':' but no port behind the host");
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 65535) {
    return refuse("has a port that is not a number from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(value);
  return {};
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

Result<void> read_authority(std::string_view text, Url& url) {
  if (text.find('@') != std::string_view::npos) {
    return refuse("contains user information; put credentials into configuration instead");
  }
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return refuse("has '[' without ']' in its host");
    url.host = ascii_lower(text.substr(1, close - 1));
    rest = text.substr(close + 1);
    if (url.host.find_first_not_of("0123456789abcdef:.") != std::string::npos) {
      return refuse("has a malformed IPv6 address");
    }
    if (!rest.empty() && rest.front() != ':') return refuse("has text behind ']'");
  } else {
    const auto colon = text.find(':');
    url.host = ascii_lower(text.substr(0, colon));
    if (colon != std::string_view::npos) rest = text.substr(colon);
    if (!std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      return refuse("has a character in its host that no host name has");
    }
  }
  if (url.host.empty()) return refuse("has no host");
  if (url.host.size() > 253) return refuse("has a host name longer than 253 characters");
  url.port = default_port(url.scheme);
  if (!rest.empty()) return read_port(rest.substr(1), url);
  return {};
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Url::origin() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return scheme + "://" + shown + ":" + std::to_string(port);
}

std::string Url::text() const {
  std::string out = scheme + "://" + authority() + path;
  if (has_query) out += "?" + query;
  return out;
}

Result<Url> parse_url(std::string_view text, std::size_t bytes_max) {
  WEIR_RETURN_IF_ERROR(check_characters(text, bytes_max));
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return refuse("does not start with http:// or https://");
  Url url;
  url.scheme = ascii_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") {
    return refuse("does not start with http:// or https://");
  }
  if (text.find('#') != std::string_view::npos) return refuse("has a fragment ('#')");
  const std::string_view rest = text.substr(colon + 3);
  const auto authority_end = rest.find_first_of("/?\\");
  WEIR_RETURN_IF_ERROR(read_authority(rest.substr(0, authority_end), url));
  std::string_view tail =
      authority_end == std::string_view::npos ? std::string_view{} : rest.substr(authority_end);
  if (tail.find('\\') != std::string_view::npos) return refuse("contains a backslash");
  const auto question = tail.find('?');
  if (question != std::string_view::npos) {
    url.has_query = true;
    url.query = tail.substr(question + 1);
    tail = tail.substr(0, question);
  }
  url.path = tail.empty() ? "/" : std::string(tail);
  return url;
}

}  // namespace weir::destination
