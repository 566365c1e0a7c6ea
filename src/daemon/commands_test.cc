// Keeps docs/commands.md, packaging/man and packaging/completion the same as the table of commands.
// With WEIR_REWRITE=1 in the environment the files are written instead.

#include "cli/completion.h"
#include "cli/help.h"
#include "cli/reference.h"
#include "daemon/command.h"
#include "daemon/configuration_page.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace weir::daemon {
namespace {

namespace fs = std::filesystem;
using cli::Command;
using cli::CommandTable;

fs::path root() { return WEIR_SOURCE_ROOT; }

bool rewriting() {
  return std::getenv("WEIR_REWRITE") != nullptr;  // NOLINT(concurrency-mt-unsafe): one thread
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void expect_file(const fs::path& path, const std::string& wanted) {
  if (rewriting()) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << wanted;
  }
  EXPECT_EQ(read(path), wanted) << "Run this test with WEIR_REWRITE=1 to write " << path;
}

/// Nothing lies there that is not made any more.
void expect_only(const fs::path& folder, const std::set<std::string>& names) {
  for (const auto& file : fs::directory_iterator(folder)) {
    if (names.contains(file.path().filename().string())) continue;
    if (rewriting()) fs::remove(file.path());
    EXPECT_TRUE(rewriting()) << file.path() << " is made from nothing; remove it";
  }
}

TEST(Commands, the_reference_is_made_from_the_table) {
  const auto path = root() / "docs/commands.md";
  const std::string text = read(path);
  const auto begin = text.find("<!-- commands: begin");
  const auto end = text.find("<!-- commands: end -->");
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos);
  const auto head = text.find('\n', begin) + 1;
  expect_file(path, text.substr(0, head) + cli::reference_markdown(all_commands()) + "\n" +
                        text.substr(end));
}

TEST(Commands, the_manual_pages_are_made_from_the_table) {
  auto pages = cli::manual_pages(all_commands());
  pages["weir.yaml.5"] = configuration_page();
  std::set<std::string> names;
  for (const auto& [name, page] : pages) {
    expect_file(root() / "packaging/man" / name, page);
    names.insert(name);
  }
  expect_only(root() / "packaging/man", names);
}

TEST(Commands, the_completion_scripts_are_those_that_are_printed) {
  const auto folder = root() / "packaging/completion";
  expect_file(folder / "weir.bash", cli::completion_script("bash"));
  expect_file(folder / "_weir", cli::completion_script("zsh"));
  expect_file(folder / "weir.fish", cli::completion_script("fish"));
  expect_only(folder, {"weir.bash", "_weir", "weir.fish"});
}

TEST(Commands, every_entry_is_whole) {
  const CommandTable table = all_commands();
  std::set<std::string> names;
  for (const Command& command : table) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " stands there twice";
    EXPECT_TRUE(command.summary.ends_with('.')) << command.name << ": the summary is a sentence";
    EXPECT_LE(command.summary.size(), 80U) << command.name << ": the summary is one line";
    const auto space = command.name.rfind(' ');
    if (space != std::string::npos) {
      const Command* group = cli::find_command(table, command.name.substr(0, space));
      ASSERT_NE(group, nullptr) << command.name << " has no group";
      EXPECT_FALSE(group->run) << group->name << " is a command and a group";
    }
    EXPECT_EQ(static_cast<bool>(command.run), cli::commands_below(table, command.name).empty())
        << command.name << " is either run or a group";
    bool last = false;
    for (const auto& argument : command.arguments) {
      EXPECT_FALSE(last) << command.name << ": nothing can follow " << argument.name;
      EXPECT_TRUE(argument.text.ends_with('.')) << command.name << " " << argument.name;
      last = argument.many;
    }
  }
}

TEST(Commands, every_flag_is_whole) {
  for (const Command& command : all_commands()) {
    std::set<std::string> names = {"-h", "--help"};
    for (const auto& flag : command.flags) {
      const std::string which = command.name + " " + flag.names;
      EXPECT_TRUE(flag.text.ends_with('.')) << which << ": the text is a sentence";
      for (const auto& name : cli::flag_names(flag)) {
        EXPECT_TRUE(names.insert(name).second) << which << ": " << name << " stands there twice";
        EXPECT_TRUE(name.starts_with("--") ? name.size() > 3 : name.size() == 2) << which;
      }
      EXPECT_EQ(flag.kind == cli::Kind::kChoice, !flag.choices.empty()) << which;
      EXPECT_FALSE(flag.value.empty() && !flag.fallback.empty()) << which;
      if (flag.kind == cli::Kind::kChoice && !flag.fallback.empty()) {
        EXPECT_EQ(std::count(flag.choices.begin(), flag.choices.end(), flag.fallback), 1) << which;
      }
      for (const auto& other : cli::words_of(flag.excludes)) {
        const auto* excluded = cli::find_flag(command, other);
        ASSERT_NE(excluded, nullptr) << which << " excludes what is not there: " << other;
        EXPECT_EQ(cli::flag_key(*excluded), other) << which;
      }
    }
  }
}

TEST(Commands, help_fits_a_terminal_of_80_columns) {
  const CommandTable table = all_commands();
  for (const Command& command : table) {
    std::istringstream lines(cli::help_text(table, command));
    bool example = false;
    for (std::string line; std::getline(lines, line);) {
      example = line == "Examples:" || (example && !line.empty());
      if (!example) {
        EXPECT_LE(line.size(), cli::kHelpColumns) << command.name << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace weir::daemon
