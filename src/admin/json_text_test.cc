#include "admin/json_text.h"

#include <gtest/gtest.h>
#include <string>

namespace weir::admin {
namespace {

std::string text_of(std::string_view value) {
  std::string out;
  JsonText(out).text(value);
  return out;
}

std::string rate_of(double value) {
  std::string out;
  JsonText(out).rate(value);
  return out;
}

TEST(JsonText, separates_what_stands_beside_each_other_and_nothing_else) {
  std::string out;
  JsonText json(out);
  json.open('{').member("a", 1).key("b").open('[').number(2).text("x,").open('{').close('}');
  json.close(']').member_if("absent", "").member_if("zero", 0).flag_if("no", false);
  json.flag_if("yes", true).key("none").null().close('}');
  EXPECT_EQ(out, R"({"a":1,"b":[2,"x,",{}],"yes":true,"none":null})");
}

TEST(JsonText, a_text_that_ends_like_a_bracket_is_separated_all_the_same) {
  std::string out;
  JsonText json(out);
  json.open('[').text("{").text("[").text(":").close(']');
  EXPECT_EQ(out, R"(["{","[",":"])");
}

TEST(JsonText, escapes_what_would_end_a_text_or_a_line) {
  EXPECT_EQ(text_of("a\"b\\c\nd\x01\x7f"), R"("a\"b\\c\nd\u0001\u007f")");
  EXPECT_EQ(text_of("</script>"), "\"</script>\"");
  EXPECT_EQ(text_of(std::string_view("\0", 1)), R"("\u0000")");
}

TEST(JsonText, passes_on_utf8_and_replaces_what_is_none) {
  EXPECT_EQ(text_of("grün €𝄞"), "\"grün €𝄞\"");
  const std::string instead = "\xEF\xBF\xBD";
  for (const std::string_view bad :
       {"\x80", "\xC3", "\xC0\xAF", "\xE2\x82", "\xED\xA0\x80", "\xF5"}) {
    std::string wanted = "\"a";
    for (std::size_t i = 0; i < bad.size(); ++i) wanted += instead;
    EXPECT_EQ(text_of("a" + std::string(bad) + "b"), wanted + "b\"");
  }
}

TEST(JsonText, writes_rates_as_short_as_they_are_worth) {
  EXPECT_EQ(rate_of(0), "0");
  EXPECT_EQ(rate_of(0.001), "0");
  EXPECT_EQ(rate_of(0.0123456), "0.0123");
  EXPECT_EQ(rate_of(12.3456), "12.3");
  EXPECT_EQ(rate_of(999.4), "999");
  EXPECT_EQ(rate_of(1234.5), "1230");
  EXPECT_EQ(rate_of(987654321), "988000000");
}

}  // namespace
}  // namespace weir::admin
