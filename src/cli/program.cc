#include "cli/program.h"

#include "base/check.h"
#include "base/log.h"
#include "base/nearest.h"
#include "cli/arguments.h"
#include "cli/help.h"
#include "cli/output.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::cli {
namespace {

void print(const std::string& text) {
  Output out;
  out.write(text);
  out.flush();
}

std::string full_name(const Command& command) {
  return command.name.empty() ? "weir" : "weir " + command.name;
}

bool asks_for_help(const std::string& word) { return word == "--help" || word == "-h"; }

/// A group was named, but none of its commands.
int no_command(const CommandTable& table, const Command& group,
               const std::vector<std::string>& words) {
  const std::string help = full_name(group) + " --help shows them all";
  if (words.empty()) {
    note(help_text(table, group));
    complain(fmt::format("name a command; {}", help));
    return kUsage;
  }
  if (words[0].starts_with('-')) {
    complain(
        fmt::format("there is no option '{}' here; options stand behind the command, as in: {} "
                    "COMMAND --help",
                    log::escaped(words[0], 64), full_name(group)));
    return kUsage;
  }
  std::vector<std::string> known;
  for (const Command* each : commands_below(table, group.name)) {
    known.push_back(each->name.substr(group.name.empty() ? 0 : group.name.size() + 1));
  }
  const std::string near = nearest(words[0], known);
  complain(fmt::format("there is no command '{}'{}; {}", log::escaped(words[0], 64),
                       near.empty() ? "" : ", did you mean '" + near + "'?", help));
  return kUsage;
}

}  // namespace

int run_program(const CommandTable& table, const std::vector<std::string>& words) {
  const Command* command = find_command(table, "");
  WEIR_CHECK(command != nullptr, "the program has an entry of its own");
  std::size_t used = 0;
  for (; used < words.size() && !command->run; ++used) {
    const std::string name =
        command->name.empty() ? words[used] : command->name + " " + words[used];
    const Command* next = words[used].empty() ? nullptr : find_command(table, name);
    if (next == nullptr) break;
    command = next;
  }
  const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(used),
                                      words.end());
  if (!command->run) {
    if (!rest.empty() && asks_for_help(rest[0])) {
      print(help_text(table, *command));
      return kOk;
    }
    if (command->name.empty() && !rest.empty() && (rest[0] == "--version" || rest[0] == "-V")) {
      print("weir " WEIR_VERSION "\n");
      return kOk;
    }
    return no_command(table, *command, rest);
  }
  const auto arguments = Arguments::parse(*command, rest);
  if (!arguments) {
    complain(fmt::format("{}: {}; {} --help says more", command->name, arguments.error().what,
                         full_name(*command)));
    return kUsage;
  }
  if (arguments->help_wanted()) {
    print(help_text(table, *command));
    return kOk;
  }
  return command->run(*arguments);
}

}  // namespace weir::cli
