#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct Key {
  enum class Kind : std::uint8_t {
    kText,  ///< `text` is what was typed
    kUp,
    kDown,
    kLeft,
    kRight,
    kPageUp,
    kPageDown,
    kHome,
    kEnd,
    kEnter,
    kEscape,
    kBackspace,
    kOther,
  };
  Kind kind = Kind::kOther;
  std::string text = {};
};

/// Makes keys of what a terminal sends. Threads: one.
class KeyReader {
 public:
  /// Keys that are whole. Half of one is kept for the next call.
  std::vector<Key> take(std::string_view bytes);
  /// Nothing more came for a while: what was kept is the escape key.
  std::vector<Key> nothing_more();
  [[nodiscard]] bool waiting() const { return !kept_.empty(); }

 private:
  std::string kept_;
};

}  // namespace weir::cli
