#pragma once

#include <string>
#include <string_view>

/// Percent-encoding of addresses and forms as AWS wants it (RFC 3986, destinations.md §19).
namespace weir::destination {

/// Everything but letters, digits and "-._~" as %XX with upper-case digits; with `keep_slash`, '/'
/// stays too. Pure.
std::string percent_encoded(std::string_view text, bool keep_slash);

/// A '%' that is not followed by two hexadecimal digits stands for itself. Pure.
std::string percent_decoded(std::string_view text);

}  // namespace weir::destination
