#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Text as a terminal shows it: what it may contain, and how many columns it takes.
namespace weir::cli {

/// `text` from outside, safe for a terminal: control characters and invalid UTF-8 escaped, marks
/// that turn the direction of writing or cannot be seen replaced by '?'; cut at `bytes_max`.
std::string visible(std::string_view text, std::size_t bytes_max = 512);

/// Columns that UTF-8 takes on a terminal: two for wide characters, none for combining marks.
std::size_t columns_of(std::string_view text);

/// At most `columns` of `text`; where something had to go, the last column is '~'.
std::string cut(std::string_view text, std::size_t columns);

/// Exactly `columns`: cut, or filled with spaces behind the text or (`right`) before it.
std::string fitted(std::string_view text, std::size_t columns, bool right = false);

/// Lines of at most `columns`, broken at spaces where there are any. Never empty.
std::vector<std::string> broken(std::string_view text, std::size_t columns);

}  // namespace weir::cli
