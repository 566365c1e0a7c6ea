#include "base/nearest.h"

#include <algorithm>

namespace weir {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: the swap of neighbours looks back two.
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kWordBytesMax = 64;  // the table is quadratic; no key is this long
  if (word.empty() || word.size() > kWordBytesMax) return {};
  std::string plain;
  for (const char c : word) {
    if (c == '-') {
      plain += '_';
    } else {
      plain += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, plain.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    // A missing or extra unit ("batch_interval" for "batch_interval_ms") counts as one edit.
    const bool unit = candidate.starts_with(plain + "_") || plain.starts_with(candidate + "_");
    const std::size_t distance = unit ? 1 : edit_distance(plain, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace weir
