#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace weir {

/// `text` with A to Z in lower case, whatever the locale: for names that protocols compare so.
inline std::string ascii_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace weir
