#include "destination/credentials/source.h"

#include <algorithm>

namespace weir::destination::credentials {

std::string Context::variable(const std::string& name) const {
  const auto found = aws.environment.find(name);
  return found == aws.environment.end() ? std::string() : found->second;
}

bool Context::is_true(const std::string& name) const {
  std::string text = variable(name);
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text == "true";
}

}  // namespace weir::destination::credentials
