#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::destination {

inline constexpr std::size_t kUrlBytesMax = 2048;

/// An absolute http or https address, taken apart.
struct Url {
  std::string scheme;  ///< "http" or "https"
  std::string host;    ///< lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string path;   ///< as written, at least "/"
  std::string query;  ///< as written, without '?'; "" if there is none
  bool has_query = false;

  /// Host and, unless it is the scheme's own, port: the Host header.
  [[nodiscard]] std::string authority() const;
  /// Scheme, host and port always written: names one server.
  [[nodiscard]] std::string origin() const;
  /// The whole address again.
  [[nodiscard]] std::string text() const;
};

/// Reads `text`. Refuses other schemes, user information, a fragment, control characters, spaces,
/// bytes outside ASCII, a port outside 1 to 65535, an empty host and more than `bytes_max` bytes
/// (reliability.md §4.6; only what weir put together itself may be longer). Pure. Errors:
/// kInvalidArgument, saying which of these it is, without repeating the text.
Result<Url> parse_url(std::string_view text, std::size_t bytes_max = kUrlBytesMax);

}  // namespace weir::destination
