#include "destination/json_reader.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::destination {
namespace {

bool accepts(std::string_view text) {
  JsonReader in(text);
  in.skip();
  return in.done();
}

TEST(JsonReader, AcceptsAndRefusesWhatAnotherLibraryDoes) {
  for (const char* text : {"",
                           " ",
                           "null",
                           "nul",
                           "nulll",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "-",
                           "01",
                           "1.",
                           ".5",
                           "1.5",
                           "1e5",
                           "1E+5",
                           "1e",
                           "1e-",
                           "+1",
                           "--1",
                           "\"\"",
                           "\"a",
                           "a\"",
                           "\"\\\"",
                           "\"\\u00e9\"",
                           "\"\\u00g9\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\udc00\"",
                           "\"\\udc00\"",
                           "\"\\x\"",
                           "\"\t\"",
                           "\"\x7f\"",
                           "\"\xc3\xa9\"",
                           "\"\xc3\"",
                           "\"\xff\"",
                           "\"\xed\xa0\x80\"",
                           "[]",
                           "[",
                           "]",
                           "[1",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "[1,2]",
                           "{}",
                           "{",
                           "}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{\"a\" : 1 , \"b\":[{}]}",
                           "{}{}",
                           "{} x",
                           " {} ",
                           "[[[[[[[[]]]]]]]]",
                           "{\"a\":1]",
                           "[1}",
                           "// x\n{}",
                           "NaN"}) {
    EXPECT_EQ(accepts(text), nlohmann::json::accept(std::string_view(text))) << text;
  }
}

TEST(JsonReader, NothingIsReadBeyondItsDepth) {
  std::string deep(16, '[');
  EXPECT_TRUE(accepts(deep + std::string(16, ']')));
  deep += '[';
  EXPECT_FALSE(accepts(deep + std::string(17, ']')));
  EXPECT_FALSE(accepts(std::string(1'000'000, '[')));
}

TEST(JsonReader, TextsAreUnescapedWhereverTheyAre) {
  JsonReader in(R"({"n\u0061me":"a\n\u00e9\ud83d\ude00","list":[1,"x",null],"last":"é"})");
  std::string seen;
  std::string text;
  in.enter_object();
  while (in.next_member()) {
    seen += std::string(in.name()) + "=";
    if (in.kind() == '[') {
      in.enter_array();
      while (in.next_element()) {
        bool was_text = false;
        in.text_or_skip(text, was_text);
        seen += was_text ? text : "-";
      }
    } else {
      in.text(text);
      seen += text;
    }
    seen += ";";
  }
  EXPECT_TRUE(in.done());
  EXPECT_EQ(seen, "name=a\n\xc3\xa9\xf0\x9f\x98\x80;list=-x-;last=\xc3\xa9;");
}

TEST(JsonReader, AfterAFailureNothingGoesOn) {
  JsonReader in(R"({"a":tru,"b":"c"})");
  std::string text;
  EXPECT_TRUE(in.enter_object());
  EXPECT_TRUE(in.next_member());
  EXPECT_FALSE(in.skip());
  EXPECT_FALSE(in.next_member());
  EXPECT_FALSE(in.text(text));
  EXPECT_EQ(in.kind(), '\0');
  EXPECT_FALSE(in.done());
}

// What is plain text is passed eight bytes at a time: the end may be at any of them.
TEST(JsonReader, EveryLengthAndPlaceOfAnOddByte) {
  for (std::size_t length = 0; length < 40; ++length) {
    const std::string plain(length, 'x');
    EXPECT_TRUE(accepts('"' + plain + '"')) << length;
    EXPECT_FALSE(accepts('"' + plain)) << length;
    for (std::size_t at = 0; at < length; ++at) {
      for (const char* odd : {"\\n", "\xc3\xa9", "\x1f", "\xc3"}) {
        const std::string text = '"' + plain.substr(0, at) + odd + plain.substr(at) + '"';
        EXPECT_EQ(accepts(text), nlohmann::json::accept(text)) << length << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace weir::destination
