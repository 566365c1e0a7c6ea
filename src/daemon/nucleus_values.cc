#include "daemon/nucleus_values.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <string_view>

namespace weir::daemon {
namespace {

// Up to here a floating point number is surely the number that somebody wrote.
constexpr double kExactMax = 9'007'199'254'740'992.0;  // 2^53

}  // namespace

std::string whole_number_text(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return {};
  const std::size_t end = text.find_last_not_of(" \t") + 1;
  std::string bare = text.substr(begin, end - begin);
  if (bare.find_first_not_of("0123456789.eE+-") != std::string::npos) return bare;
  if (bare.find_first_of(".eE") == std::string::npos) return bare;
  double number = 0;
  const char* last = bare.data() + bare.size();
  const auto [stop, error] = std::from_chars(bare.data(), last, number);
  if (error != std::errc{} || stop != last || std::floor(number) != number ||
      std::abs(number) >= kExactMax) {
    return bare;
  }
  return fmt::format("{:.0f}", number == 0 ? 0.0 : number);
}

bool is_unfilled_variable(const std::string& text) {
  return text.starts_with("{configuration:") && text.ends_with("}");
}

}  // namespace weir::daemon
