#include "cli/help.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>
#include <vector>

namespace weir::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kLeftColumnsMax = 26;

std::string rows_text(const std::string& heading, const Rows& rows) {
  if (rows.empty()) return {};
  std::size_t left = 0;
  for (const auto& row : rows) {
    if (row.first.size() <= kLeftColumnsMax) left = std::max(left, row.first.size());
  }
  std::string text = "\n" + heading + ":\n";
  for (const auto& [name, words] : rows) {
    text += "  " + name;
    const std::size_t indent = left + 4;
    if (name.size() > left) {
      text += words.empty() ? "" : "\n" + std::string(indent, ' ');
    } else {
      text += std::string(words.empty() ? 0 : indent - 2 - name.size(), ' ');
    }
    text += wrapped(words, kHelpColumns - indent, indent) + "\n";
  }
  return text;
}

std::string flag_left(const Flag& flag) {
  std::string left;
  for (const std::string& name : flag_names(flag)) left += (left.empty() ? "" : ", ") + name;
  if (left.starts_with("--")) left = "    " + left;
  if (!flag.value.empty()) left += " " + flag.value + (flag.many ? "..." : "");
  return left;
}

std::string flag_right(const Flag& flag) {
  std::string right = flag.text;
  if (!flag.fallback.empty()) right += " Default: " + flag.fallback + ".";
  if (flag.required) right += " Needed.";
  return right;
}

std::string flags_text(const Command& command) {
  std::vector<std::string> groups = {""};
  for (const Flag& flag : command.flags) {
    if (std::find(groups.begin(), groups.end(), flag.group) == groups.end()) {
      groups.push_back(flag.group);
    }
  }
  std::string text;
  for (const std::string& group : groups) {
    Rows rows;
    for (const Flag& flag : command.flags) {
      if (flag.group == group) rows.emplace_back(flag_left(flag), flag_right(flag));
    }
    if (group.empty()) rows.emplace_back("-h, --help", "This text.");
    text += rows_text(group.empty() ? "Options" : group, rows);
  }
  return text;
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t columns, std::size_t indent) {
  std::vector<std::string> lines;
  bool continuing = false;  // the last line may take more words
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with("  ")) {
      lines.emplace_back(line);
      continuing = false;
      continue;
    }
    for (const std::string& word : words_of(line)) {
      if (continuing && lines.back().size() + 1 + word.size() <= columns) {
        lines.back() += " " + word;
      } else {
        lines.push_back(word);
      }
      continuing = true;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += lines[i].empty() ? "\n" : "\n" + std::string(indent, ' ');
    out += lines[i];
  }
  return out;
}

std::string help_text(const CommandTable& table, const Command& command) {
  std::string text =
      wrapped(command.summary, kHelpColumns, 0) + "\n\nUsage: " + usage_line(table, command) + "\n";
  Rows arguments;
  for (const Argument& argument : command.arguments) {
    arguments.emplace_back(argument.name + (argument.many ? "..." : ""), argument.text);
  }
  text += rows_text("Arguments", arguments);
  Rows below;
  for (const Command* each : commands_below(table, command.name)) {
    below.emplace_back(each->name, each->summary);
  }
  text += rows_text("Commands", below);
  text += flags_text(command);
  if (!command.description.empty()) {
    text += "\n" + wrapped(command.description, kHelpColumns, 0) + "\n";
  }
  if (!command.examples.empty()) {
    text += "\nExamples:\n";
    for (const Example& example : command.examples) text += "  " + example.line + "\n";
  }
  if (!command.exits.empty()) {
    text += "\nExit status:\n";
    for (const ExitStatus& exit : command.exits) {
      text += fmt::format("  {:<3}  {}\n", exit.status, wrapped(exit.text, kHelpColumns - 7, 7));
    }
  }
  return text;
}

}  // namespace weir::cli
