// Dead letters as they stand in a stream, sound and not.

#include "cli/dead_letter_commands.h"

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

}  // namespace
}  // namespace weir::cli
