#include "destination/json_reader.h"

#include "base/bytes.h"
#include "destination/json_text.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>

namespace weir::destination {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// How many of the eight bytes at `at` are plain text in a string, up to the first that ends or
// interrupts it: a quote, a backslash, a control character or a byte outside ASCII.
std::size_t plain_of_eight(const char* at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
  const auto word = load_little<std::uint64_t>(reinterpret_cast<const std::byte*>(at));
  // The lowest bit that is set is right in each of these; a borrow may set others above it.
  const auto zero_in = [](std::uint64_t v) { return (v - kOnes) & ~v & kHigh; };
  const std::uint64_t quotes = zero_in(word ^ (kOnes * '"'));
  const std::uint64_t slashes = zero_in(word ^ (kOnes * '\\'));
  const std::uint64_t controls = (word - kOnes * 0x20) & ~word & kHigh;
  const std::uint64_t any = quotes | slashes | controls | (word & kHigh);
  return any == 0 ? 8 : static_cast<std::size_t>(std::countr_zero(any)) / 8;
}

std::optional<std::uint32_t> four_hex(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    value = value * 16 + digit;
  }
  return value;
}

void append_utf8(std::string& to, std::uint32_t point) {
  const auto tail = [&](unsigned shift) {
    to += static_cast<char>(0x80U | ((point >> shift) & 0x3fU));
  };
  if (point < 0x80) {
    to += static_cast<char>(point);
  } else if (point < 0x800) {
    to += static_cast<char>(0xc0U | (point >> 6U));
    tail(0);
  } else if (point < 0x10000) {
    to += static_cast<char>(0xe0U | (point >> 12U));
    tail(6);
    tail(0);
  } else {
    to += static_cast<char>(0xf0U | (point >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Reads the escape at the start of `raw`, behind its backslash; returns how long it is, 0 if it is
// none.
std::size_t read_escape(std::string_view raw, std::string& to) {
  constexpr std::string_view kShort = "\"\\/bfnrt";
  constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
  if (raw.empty()) return 0;
  if (const auto at = kShort.find(raw[0]); at != std::string_view::npos) {
    to += kMeaning[at];
    return 1;
  }
  if (raw[0] != 'u') return 0;
  const auto first = four_hex(raw.substr(1));
  if (!first || (*first >= 0xdc00 && *first <= 0xdfff)) return 0;
  if (*first < 0xd800 || *first > 0xdfff) {
    append_utf8(to, *first);
    return 5;
  }
  if (!raw.substr(5).starts_with("\\u")) return 0;
  const auto second = four_hex(raw.substr(7));
  if (!second || *second < 0xdc00 || *second > 0xdfff) return 0;
  append_utf8(to, 0x10000 + ((*first - 0xd800) << 10U) + (*second - 0xdc00));
  return 11;
}

}  // namespace

void JsonReader::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
    ++at_;
  }
}

bool JsonReader::take(char c) {
  skip_space();
  if (!ok_ || at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

char JsonReader::kind() {
  skip_space();
  if (!ok_ || at_ >= text_.size()) return '\0';
  return is_digit(text_[at_]) ? '0' : text_[at_];
}

bool JsonReader::enter(char open) {
  if (!take(open) || ++depth_ > kDepthMax) return fail();
  fresh_ = true;
  return true;
}

// Behind an element, or at the start: is there another one?
bool JsonReader::next(char close) {
  if (!ok_) return false;
  const bool first = fresh_;
  fresh_ = false;
  if (take(close)) {
    --depth_;
    return false;
  }
  if (first) return true;
  return take(',') || fail();
}

bool JsonReader::next_member() {
  if (!next('}')) return false;
  std::string_view raw;
  bool escaped = false;
  if (!take('"') || !scan_string(raw, escaped)) return fail();
  name_ = raw;
  if (escaped) {
    name_text_.clear();
    if (!unescape(raw, name_text_)) return fail();
    name_ = name_text_;
  }
  return take(':') || fail();
}

bool JsonReader::next_element() { return next(']'); }

// From behind the opening quote to behind the closing one. Escapes are left to `unescape`.
bool JsonReader::scan_string(std::string_view& raw, bool& escaped) {
  const std::size_t begin = at_;
  while (at_ < text_.size()) {
    while (text_.size() - at_ >= 8) {
      const std::size_t plain = plain_of_eight(text_.data() + at_);
      at_ += plain;
      if (plain < 8) break;
    }
    if (at_ >= text_.size()) break;
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      raw = text_.substr(begin, at_ - begin);
      ++at_;
      return true;
    }
    if (c < 0x20) return fail();
    if (c == '\\') {
      escaped = true;
      at_ += 2;  // whatever is escaped is no end
    } else {
      const std::size_t length = utf8_sequence_bytes(text_.substr(at_));
      if (length == 0) return fail();
      at_ += length;
    }
  }
  return fail();
}

bool JsonReader::unescape(std::string_view raw, std::string& to) {
  while (!raw.empty()) {
    const auto slash = raw.find('\\');
    to += raw.substr(0, slash);
    if (slash == std::string_view::npos) return true;
    raw.remove_prefix(slash + 1);
    const std::size_t length = read_escape(raw, to);
    if (length == 0) return fail();
    raw.remove_prefix(length);
  }
  return true;
}

bool JsonReader::text(std::string& to) {
  std::string_view raw;
  bool escaped = false;
  if (!take('"') || !scan_string(raw, escaped)) return fail();
  to.clear();
  if (escaped) return unescape(raw, to);
  to = raw;
  return true;
}

bool JsonReader::text_or_skip(std::string& to, bool& was_text) {
  was_text = kind() == '"';
  return was_text ? text(to) : skip();
}

bool JsonReader::skip_number() {
  const auto here = [this] { return at_ < text_.size() ? text_[at_] : '\0'; };
  const auto digits = [&] {
    if (!is_digit(here())) return fail();
    while (is_digit(here())) ++at_;
    return true;
  };
  if (here() == '-') ++at_;
  if (here() == '0') {
    ++at_;
  } else if (!digits()) {
    return false;
  }
  if (here() == '.') {
    ++at_;
    if (!digits()) return false;
  }
  if (here() == 'e' || here() == 'E') {
    ++at_;
    if (here() == '+' || here() == '-') ++at_;
    if (!digits()) return false;
  }
  return true;
}

bool JsonReader::skip_word(std::string_view word) {
  if (!text_.substr(at_).starts_with(word)) return fail();
  at_ += word.size();
  return true;
}

bool JsonReader::skip() {
  switch (kind()) {
    case '{':
      enter_object();
      while (next_member()) skip();
      return ok_;
    case '[':
      enter_array();
      while (next_element()) skip();
      return ok_;
    case '"': {
      std::string_view raw;
      bool escaped = false;
      ++at_;
      if (!scan_string(raw, escaped)) return false;
      std::string ignored;
      return !escaped || unescape(raw, ignored);
    }
    case 't':
      return skip_word("true");
    case 'f':
      return skip_word("false");
    case 'n':
      return skip_word("null");
    case '0':
    case '-':
      return skip_number();
    default:
      return fail();
  }
}

bool JsonReader::done() {
  skip_space();
  return ok_ && depth_ == 0 && at_ == text_.size() && !text_.empty();
}

}  // namespace weir::destination
