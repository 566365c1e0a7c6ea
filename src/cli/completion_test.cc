// What is offered at the cursor.

#include "cli/completion.h"

#include "cli/admin_port.h"
#include "cli/flags.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace weir::cli {
namespace {

int nothing(const Arguments& /*arguments*/) { return kOk; }

CommandTable table() {
  return {{.name = "", .summary = "weir."},
          {.name = "sub",
           .summary = "Print.",
           .arguments = {{"STREAM", "Name.", Kind::kStream}},
           .flags = joined({output_flag(), {"-f,--follow", "", "Wait."}}, ConnectionFlags::flags()),
           .run = nothing},
          {.name = "stream", .summary = "Streams."},
          {.name = "stream ls", .summary = "List.", .run = nothing},
          {.name = "stream rm",
           .summary = "Delete.",
           .arguments = {{"STREAM", "Names.", Kind::kStream, false, true}},
           .run = nothing},
          {.name = "export", .summary = "Exports."},
          {.name = "export pause",
           .summary = "Pause.",
           .arguments = {{"STREAM", "Name.", Kind::kStream},
                         {"EXPORT", "Export.", Kind::kExport, true}},
           .flags = AdminFlags::order_flags(),
           .run = nothing},
          {.name = "tap",
           .summary = "Tap.",
           .arguments = {{"EXPORT", "Export.", Kind::kAddress}},
           .run = nothing},
          {.name = "fsck",
           .summary = "Check.",
           .arguments = {{"DIR", "Store.", Kind::kDirectory}},
           .run = nothing},
          {.name = "__complete", .summary = "Hidden.", .hidden = true, .run = nothing}};
}

TypedFlags asked_with;

LiveNames names() {
  return {[](const Command& /*command*/, const TypedFlags& flags) {
            asked_with = flags;
            return std::vector<std::string>{"pumps", "pressure", "a b", "evil\x1b[2J"};
          },
          [](const TypedFlags& /*flags*/) {
            return std::vector<std::pair<std::string, std::string>>{
                {"pumps", "cloud"}, {"pumps", "files"}, {"valves", "other"}};
          }};
}

std::vector<std::string> offered(std::vector<std::string> words) {
  std::vector<std::string> out;
  for (const auto& word : complete(table(), std::move(words), names()).words) {
    out.push_back(word.text);
  }
  return out;
}

using Words = std::vector<std::string>;

TEST(Completion, CommandsAndTheirGroups) {
  EXPECT_EQ(offered({""}), (Words{"sub", "stream", "export", "tap", "fsck"}));
  EXPECT_EQ(offered({"s"}), (Words{"sub", "stream"}));
  EXPECT_EQ(offered({"stream", ""}), (Words{"ls", "rm"}));
  EXPECT_EQ(offered({"nonsense", ""}), (Words{}));
}

TEST(Completion, FlagsThatWereNotGivenYet) {
  EXPECT_EQ(offered({"sub", "--f"}), (Words{"--follow"}));
  EXPECT_EQ(offered({"sub", "--follow", "--f"}), (Words{}));
  const auto all = offered({"sub", "-"});
  EXPECT_EQ(std::count(all.begin(), all.end(), "--help"), 1);
  EXPECT_EQ(std::count(all.begin(), all.end(), "-f"), 0) << "the short ones say nothing";
}

TEST(Completion, ValuesOfFlags) {
  EXPECT_EQ(offered({"sub", "--output", ""}), (Words{"text", "json"}));
  EXPECT_EQ(offered({"sub", "-o", "j"}), (Words{"json"}));
  EXPECT_EQ(offered({"sub", "--output=j"}), (Words{"--output=json"}));
  EXPECT_EQ(offered({"sub", "--output", "=", "j"}), (Words{"json"})) << "as bash parts words";
  EXPECT_EQ(offered({"sub", "--output", "="}), (Words{"text", "json"}));
  EXPECT_EQ(complete(table(), {"sub", "--token-file", ""}, names()).source,
            Completion::Source::kFiles);
}

TEST(Completion, NamesComeFromTheWeirThatIsMeant) {
  EXPECT_EQ(offered({"sub", "--port", "9000", "--host=gateway", "p"}),
            (Words{"pumps", "pressure"}));
  EXPECT_EQ(asked_with["--port"], "9000");
  EXPECT_EQ(asked_with["--host"], "gateway");
  EXPECT_EQ(offered({"sub", "a"}), (Words{"a b"}));
  EXPECT_EQ(offered({"sub", "e"}), (Words{})) << "no escape sequence reaches the terminal";
  EXPECT_EQ(offered({"sub", "pumps", ""}), (Words{})) << "it takes one stream";
  EXPECT_EQ(offered({"stream", "rm", "pumps", "pr"}), (Words{"pressure"})) << "this takes many";
}

TEST(Completion, ExportsAreThoseOfTheStream) {
  EXPECT_EQ(offered({"export", "pause", "pumps", ""}), (Words{"cloud", "files"}));
  EXPECT_EQ(offered({"export", "pause", "valves", ""}), (Words{"other"}));
  EXPECT_EQ(offered({"tap", "pumps/"}), (Words{"pumps/cloud", "pumps/files"}));
}

TEST(Completion, HalfALineIsNeverAnError) {
  for (const Words& words : {Words{}, Words{"--"}, Words{"sub", "--", "--"}, Words{"=", "="},
                             Words{"sub", "--nonsense", "=", ""}, Words{"stream", "rm", "-x", ""},
                             Words{"sub", "--output", "--follow", ""}}) {
    offered(words);
  }
  EXPECT_EQ(complete(table(), {"fsck", "/v"}, names()).source, Completion::Source::kDirectories);
}

}  // namespace
}  // namespace weir::cli
