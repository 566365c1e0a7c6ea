#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// How many single-character edits (insert, delete, replace, swap of neighbours) lie between two
/// words.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `word` most probably meant; empty if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace weir
