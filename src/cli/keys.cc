#include "cli/keys.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::cli {
namespace {

using Kind = Key::Kind;

constexpr std::size_t kSequenceBytesMax = 16;

/// Behind ESC [ or ESC O.
constexpr std::array<std::pair<std::string_view, Kind>, 14> kSequences = {{{"A", Kind::kUp},
                                                                           {"B", Kind::kDown},
                                                                           {"C", Kind::kRight},
                                                                           {"D", Kind::kLeft},
                                                                           {"H", Kind::kHome},
                                                                           {"F", Kind::kEnd},
                                                                           {"1~", Kind::kHome},
                                                                           {"7~", Kind::kHome},
                                                                           {"4~", Kind::kEnd},
                                                                           {"8~", Kind::kEnd},
                                                                           {"5~", Kind::kPageUp},
                                                                           {"6~", Kind::kPageDown},
                                                                           {"3~", Kind::kBackspace},
                                                                           {"M", Kind::kEnter}}};

/// Bytes of the sequence at the front of `text`, which begins with ESC; 0: it is not whole yet.
std::size_t sequence_length(std::string_view text) {
  if (text.size() == 1) return 0;
  if (text[1] != '[' && text[1] != 'O') return 1;
  for (std::size_t i = 2; i < std::min(text.size(), kSequenceBytesMax); ++i) {
    if (text[i] >= '@' && text[i] <= '~') return i + 1;
  }
  return text.size() < kSequenceBytesMax ? 0 : kSequenceBytesMax;
}

Key key_of_sequence(std::string_view sequence) {
  if (sequence.size() == 1) return {Kind::kEscape};
  const auto found = std::find_if(kSequences.begin(), kSequences.end(), [&](const auto& known) {
    return known.first == sequence.substr(2);
  });
  return {found == kSequences.end() ? Kind::kOther : found->second};
}

std::size_t utf8_bytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

std::vector<Key> KeyReader::take(std::string_view bytes) {
  kept_ += bytes;
  std::vector<Key> keys;
  while (!kept_.empty()) {
    const char c = kept_[0];
    std::size_t length = 1;
    if (c == '\x1b') {
      length = sequence_length(kept_);
      if (length == 0) return keys;
      keys.push_back(key_of_sequence(std::string_view(kept_).substr(0, length)));
    } else if (c == '\r' || c == '\n') {
      keys.push_back({Kind::kEnter});
    } else if (c == '\x7f' || c == '\b') {
      keys.push_back({Kind::kBackspace});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      keys.push_back({Kind::kOther});
    } else {
      length = utf8_bytes(c);
      if (length > kept_.size()) return keys;
      keys.push_back({Kind::kText, kept_.substr(0, length)});
    }
    kept_.erase(0, length);
  }
  return keys;
}

std::vector<Key> KeyReader::nothing_more() {
  const bool escape = kept_.starts_with('\x1b');
  kept_.clear();
  return escape ? std::vector<Key>{{Kind::kEscape}} : std::vector<Key>{};
}

}  // namespace weir::cli
