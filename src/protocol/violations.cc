#include "protocol/violations.h"

#include <algorithm>

namespace weir::protocol {

std::string Path::text() const {
  std::string text = parent == nullptr ? std::string() : parent->text();
  if (index >= 0) return text + "[" + std::to_string(index) + "]";
  if (!text.empty() && !name.empty()) text += '.';
  return text.append(name);
}

void Violations::add(const Path& path, std::string_view reason) {
  if (more_) return;
  std::string text = path.text();
  const auto covers = [&](const Violation& known) {
    return std::string_view(text).starts_with(known.path) &&
           (text.size() == known.path.size() || text[known.path.size()] == '.' ||
            text[known.path.size()] == '[');
  };
  if (std::any_of(listed_.begin(), listed_.end(), covers)) return;
  if (listed_.size() == kMax) {
    more_ = true;
    return;
  }
  listed_.push_back({std::move(text), std::string(reason)});
}

std::string Violations::text() const {
  std::string text;
  for (const Violation& violation : listed_) {
    if (!text.empty()) text += "; ";
    text.append(violation.path).append(": ").append(violation.reason);
  }
  if (more_) text += "; and more";
  return text;
}

}  // namespace weir::protocol
