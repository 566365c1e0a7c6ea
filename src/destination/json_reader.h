#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::destination {

/// Reads a JSON text front to back, without building a document: an answer with 500 results is read
/// in a fraction of what that would cost. As strict as RFC 8259: the text must be valid UTF-8 and
/// nothing may stand behind it.
///
/// Every function returns false at the first thing that is wrong or not what was asked for; `ok`
/// stays false from then on. `done` says whether the whole text was one sound value.
///
///   JsonReader in(text);
///   in.enter_object();
///   while (in.next_member()) {
///     if (in.name() == "id") { in.text(id); } else { in.skip(); }
///   }
///   if (!in.done()) ...
///
/// Lifetime: `text` outlives the reader. Threads: one at a time.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  /// What the next value begins with: one of `{["tfn0-`, where 0 stands for any digit; '\0' at the
  /// end or after a failure.
  [[nodiscard]] char kind();

  /// Enters an object or array; then ask for its members or elements until there are no more.
  bool enter_object() { return enter('{'); }
  bool enter_array() { return enter('['); }
  /// Moves to the value of the next member and reads its `name`. False behind the last one (the
  /// object is left then) and after a failure.
  bool next_member();
  /// The same for elements.
  bool next_element();
  /// The name that `next_member` read; valid until the next call.
  [[nodiscard]] std::string_view name() const { return name_; }

  /// Reads a string; fails on any other value.
  bool text(std::string& to);
  /// Reads a string if there is one, else skips the value; tells which in `was_text`.
  bool text_or_skip(std::string& to, bool& was_text);
  /// Passes over one value of any kind, checking it.
  bool skip();

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool done();

 private:
  static constexpr int kDepthMax = 16;

  bool fail() {
    ok_ = false;
    return false;
  }
  void skip_space();
  bool take(char c);
  bool enter(char open);
  bool next(char close);
  bool scan_string(std::string_view& raw, bool& escaped);
  bool unescape(std::string_view raw, std::string& to);
  bool skip_number();
  bool skip_word(std::string_view word);

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool ok_ = true;
  bool fresh_ = false;  // just entered an object or array
  std::string_view name_;
  std::string name_text_;  // of a name with escapes
};

}  // namespace weir::destination
