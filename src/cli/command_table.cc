#include "cli/command_table.h"

#include <algorithm>

namespace weir::cli {

const Command* find_command(const CommandTable& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Command& command) { return command.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::vector<const Command*> commands_below(const CommandTable& table, std::string_view name) {
  const std::string prefix = name.empty() ? "" : std::string(name) + " ";
  std::vector<const Command*> below;
  for (const Command& command : table) {
    if (command.hidden || !command.name.starts_with(prefix) || command.name == name) continue;
    if (command.name.find(' ', prefix.size()) == std::string::npos) below.push_back(&command);
  }
  return below;
}

std::vector<std::string> words_of(std::string_view text, char between) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(between), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::vector<std::string> flag_names(const Flag& flag) { return words_of(flag.names, ','); }

std::string flag_key(const Flag& flag) {
  const auto names = flag_names(flag);
  const auto longest = std::find_if(names.begin(), names.end(),
                                    [](const std::string& name) { return name.starts_with("--"); });
  return longest == names.end() ? names.front() : *longest;
}

const Flag* find_flag(const Command& command, std::string_view name) {
  for (const Flag& flag : command.flags) {
    const auto names = flag_names(flag);
    if (std::find(names.begin(), names.end(), name) != names.end()) return &flag;
  }
  return nullptr;
}

std::vector<Flag> joined(std::vector<Flag> first, const std::vector<Flag>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Flag output_flag(const std::string& text) {
  return {"-o,--output", "FORMAT", text, Kind::kChoice, {"text", "json"}, "text"};
}

std::string usage_line(const CommandTable& table, const Command& command) {
  std::string line = "weir";
  if (!command.name.empty()) line += " " + command.name;
  if (!command.flags.empty()) line += " [OPTIONS]";
  if (!command.run && !commands_below(table, command.name).empty()) line += " COMMAND ...";
  for (const Argument& argument : command.arguments) {
    std::string word = argument.name + (argument.many ? "..." : "");
    line += argument.optional ? " [" + word + "]" : " " + word;
  }
  return line;
}

}  // namespace weir::cli
