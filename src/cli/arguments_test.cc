// What can be typed behind a command, and what is said when it cannot.

#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

const Command& the_command() {
  static const Command command = {
      .name = "fill",
      .summary = "Fill a stream.",
      .arguments = {{"STREAM", "Its name."}, {"NUMBER", "Numbers.", Kind::kNumber, true, true}},
      .flags = {{.names = "-o,--output",
                 .value = "FORMAT",
                 .text = "text or json.",
                 .kind = Kind::kChoice,
                 .choices = {"text", "json"},
                 .fallback = "text"},
                {.names = "-v,--verbose", .text = "More."},
                {.names = "-q,--quiet", .text = "Less.", .excludes = "--verbose"},
                {.names = "-n,--count",
                 .value = "N",
                 .text = "So many.",
                 .kind = Kind::kNumber,
                 .min = 1,
                 .max = 100},
                {.names = "--from", .value = "WHERE", .text = "Where."},
                {.names = "-f,--file",
                 .value = "FILE",
                 .text = "Files.",
                 .kind = Kind::kFile,
                 .many = true}}};
  return command;
}

Result<Arguments> parse(std::vector<std::string> words) {
  return Arguments::parse(the_command(), words);
}

std::string complaint(std::vector<std::string> words) {
  const auto parsed = parse(std::move(words));
  return parsed ? "" : parsed.error().what;
}

TEST(Arguments, AreFoundWhereverTheyStand) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"s", "1", "2", "--output", "json", "-v"},
        {"--output=json", "-v", "s", "1", "2"},
        {"s", "-vojson", "1", "2"},
        {"-v", "s", "1", "-o", "json", "--", "2"}}) {
    const auto parsed = parse(words);
    ASSERT_TRUE(parsed) << parsed.error().what;
    EXPECT_EQ(parsed->text("STREAM"), "s");
    EXPECT_EQ(parsed->numbers("NUMBER"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(parsed->text("--output"), "json");
    EXPECT_TRUE(parsed->has("--verbose"));
    EXPECT_FALSE(parsed->has("--quiet"));
  }
}

TEST(Arguments, DefaultsStandWhereNothingWasSaid) {
  const auto parsed = parse({"s"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->text("--output"), "text");
  EXPECT_FALSE(parsed->has("--output"));
  EXPECT_EQ(parsed->maybe("--from"), std::nullopt);
  EXPECT_EQ(parsed->maybe_number("--count"), std::nullopt);
  EXPECT_TRUE(parsed->all("--file").empty());
}

TEST(Arguments, AValueMayBeginWithADash) {
  EXPECT_EQ(parse({"s", "--from", "-10"})->text("--from"), "-10");
  EXPECT_EQ(parse({"s", "--from=--quiet"})->text("--from"), "--quiet");
  EXPECT_EQ(complaint({"s", "--from", "--quiet"}), "--from wants a value: --from WHERE");
  EXPECT_EQ(complaint({"s", "--from"}), "--from wants a value: --from WHERE");
}

TEST(Arguments, AStreamMayBeCalledLikeAnOption) {
  EXPECT_EQ(parse({"--", "--help"})->text("STREAM"), "--help");
  EXPECT_EQ(parse({"-"})->text("STREAM"), "-");
  EXPECT_TRUE(parse({"--help"})->help_wanted());
  EXPECT_TRUE(parse({"s", "-h", "--nonsense"})->help_wanted());
}

TEST(Arguments, AListTakesAllWordsUpToTheNextOption) {
  const auto parsed = parse({"s", "--file", "a", "b", "-v", "-f", "c"});
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->all("--file"), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Arguments, MistakesAreNamedWithWhatWasMeant) {
  EXPECT_EQ(complaint({}), "STREAM is missing: Its name.");
  EXPECT_EQ(complaint({"s", "--outptu", "json"}),
            "there is no option '--outptu', did you mean '--output'?");
  EXPECT_EQ(complaint({"s", "--zzz"}), "there is no option '--zzz'");
  EXPECT_EQ(complaint({"s", "-x"}), "there is no option '-x'");
  EXPECT_EQ(complaint({"s", "-o", "yaml"}), "-o 'yaml': write text or json");
  EXPECT_EQ(complaint({"s", "--verbose=yes"}), "--verbose takes no value");
  EXPECT_EQ(complaint({"s", "-q", "-v"}), "--quiet and --verbose exclude each other");
  EXPECT_EQ(complaint({"s", "-n", "0"}), "-n '0': write a whole number, 1 to 100");
  EXPECT_EQ(complaint({"s", "-n", "5x"}), "-n '5x': write a whole number, 1 to 100");
  EXPECT_EQ(complaint({"s", "-n", "5", "--count", "6"}), "--count is given twice");
  EXPECT_EQ(complaint({"s", "one"}), "NUMBER 'one': write a whole number, 0 or more");
}

TEST(Arguments, WhatIsRepeatedInAComplaintIsSafeForATerminal) {
  const std::string said = complaint({"s", "--\x1b[2J"});
  EXPECT_EQ(said.find('\x1b'), std::string::npos) << said;
}

TEST(ArgumentsDeathTest, AFlagThatIsInNoEntryCannotBeAskedFor) {
  const auto parsed = parse({"s"});
  EXPECT_DEATH(static_cast<void>(parsed->has("--colour")), "entry");
}

}  // namespace
}  // namespace weir::cli
