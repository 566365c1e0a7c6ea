// Dead letters as they stand in a stream, sound and not.

#include "cli/dead_letters.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

constexpr std::string_view kHead =
    R"({"weirDeadLetter":1,"stream":"pumps","export":"to-cloud","type":"kinesis","sequenceNumber":17,)"
    R"("appendTime":1,"refusedTime":2,"payloadBytes":6,"reason":"too \"old\""})";

std::optional<DeadLetterView> read(const std::string& text) {
  return read_dead_letter(as_bytes(text));
}

TEST(DeadLetterText, isTakenApart) {
  const std::string text = std::string(kHead) + "\nhel\nlo";
  const auto letter = read(text);
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->stream, "pumps");
  EXPECT_EQ(letter->identifier, "to-cloud");
  EXPECT_EQ(letter->sequence_number, 17);
  EXPECT_EQ(letter->refused_ms, 2);
  EXPECT_EQ(letter->reason, "too \"old\"");
  EXPECT_EQ(as_text(letter->payload), "hel\nlo");
}

TEST(DeadLetterText, anythingElseIsNone) {
  const std::string whole = std::string(kHead) + "\nhel\nlo";
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_FALSE(read(whole.substr(0, i))) << i;
  for (const std::string text : {"", "\n", "{}\n", "[]\n", "{\"weirDeadLetter\":2}\n", "hello",
                                 "{\"weirDeadLetter\":1}\nx", "\xff\xfe\n"}) {
    EXPECT_FALSE(read(text)) << text;
  }
  EXPECT_FALSE(read(whole + "x")) << "not the payload it names";
}

TEST(LetterRange, isWrittenAsItIsTyped) {
  for (const std::string word : {"0", "3", "3-7", "3-", "0-0", "7-7"}) {
    const auto range = parse_letter_range(word);
    ASSERT_TRUE(range) << word;
    EXPECT_EQ(parse_letter_range(text_of(*range))->last, range->last) << word;
  }
  EXPECT_EQ(parse_letter_range("3-7")->first, 3);
  EXPECT_EQ(parse_letter_range("3-7")->last, 7);
  EXPECT_TRUE(parse_letter_range("3")->single());
  EXPECT_EQ(text_of(*parse_letter_range("3-")), "3-");
  for (const std::string word :
       {"", "-", "-3", "7-3", "3-x", "x", "3 ", "3--4", "1.5", "9999999999999999999"}) {
    EXPECT_FALSE(parse_letter_range(word)) << word;
  }
}

}  // namespace
}  // namespace weir::cli
