#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::admin {

/// Appends JSON to a text. The caller keeps the order of calls right; commas come by themselves.
/// Any bytes may be given as text: what is not UTF-8 becomes U+FFFD.
class JsonText {
 public:
  explicit JsonText(std::string& out) : out_(out) {}

  JsonText& open(char bracket);
  JsonText& close(char bracket);
  JsonText& key(std::string_view name);
  JsonText& text(std::string_view value);
  JsonText& number(std::int64_t value);
  /// To three significant digits, which is all that a rate is worth; 0 below 0.005.
  JsonText& rate(double value);
  JsonText& boolean(bool value);
  JsonText& null();

  /// Members that a reader takes as absent are left out.
  JsonText& member(std::string_view name, std::string_view value);
  JsonText& member(std::string_view name, std::int64_t value);
  JsonText& member_if(std::string_view name, std::string_view value);
  JsonText& member_if(std::string_view name, std::int64_t value);
  JsonText& flag_if(std::string_view name, bool value);

 private:
  void separate();

  std::string& out_;
};

}  // namespace weir::admin
