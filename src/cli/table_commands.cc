#include "cli/table_commands.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/completion.h"
#include "cli/flags.h"
#include "cli/http_get.h"
#include "cli/output.h"
#include "cli/reference.h"
#include "cli/status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace weir::cli {
namespace {

using nlohmann::json;

/// Whoever presses the tab key waits for it.
constexpr Duration kPatience = std::chrono::milliseconds(500);
/// A shell that shows more helps nobody.
constexpr std::size_t kNamesMax = 2'000;

std::int64_t port_or(const TypedFlags& flags, const char* name, std::int64_t otherwise) {
  const auto found = flags.find(name);
  if (found == flags.end()) return otherwise;
  const auto port = std::strtol(found->second.c_str(), nullptr, 10);
  return port >= 1 && port <= 65535 ? port : otherwise;
}

std::string text_or(const TypedFlags& flags, const char* name, const std::string& otherwise) {
  const auto found = flags.find(name);
  return found == flags.end() || found->second.empty() ? otherwise : found->second;
}

json status_of(const TypedFlags& flags) {
  const AdminFlags usual;
  const auto body = http_get(text_or(flags, "--admin-host", usual.host),
                             port_or(flags, "--admin-port", usual.port), "/status", kPatience);
  const auto status = body ? parse_status(*body) : fail(body.error());
  return status ? *status : json::object();
}

std::vector<std::string> listed_streams(const TypedFlags& flags) {
  ConnectionFlags connection;
  connection.host = text_or(flags, "--host", "");
  connection.port = port_or(flags, "--port", 0);
  connection.token_file = text_or(flags, "--token-file", "");
  const auto endpoint = connection.endpoint();
  if (!endpoint) return {};
  const auto client = Client::connect(*endpoint, nullptr, kPatience);
  if (!client) return {};
  auto response = (*client)->call(protocol::ListRequest{}, kPatience);
  return response ? std::move(response->streams) : std::vector<std::string>{};
}

std::string name_in(const json& entry, const char* key) {
  const auto found = entry.is_object() ? entry.find(key) : entry.end();
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> streams(const Command& command, const TypedFlags& flags) {
  std::vector<std::string> names;
  if (find_flag(command, "--port") != nullptr) names = listed_streams(flags);
  if (names.empty() && find_flag(command, "--admin-port") != nullptr) {
    const json status = status_of(flags);
    const auto found = status.find("streams");
    if (found != status.end() && found->is_array()) {
      for (const json& stream : *found) names.push_back(name_in(stream, "name"));
    }
  }
  if (names.size() > kNamesMax) names.resize(kNamesMax);
  return names;
}

std::vector<std::pair<std::string, std::string>> exports(const TypedFlags& flags) {
  std::vector<std::pair<std::string, std::string>> names;
  const json status = status_of(flags);
  const auto found = status.find("streams");
  if (found == status.end() || !found->is_array()) return names;
  for (const json& stream : *found) {
    const auto inner = stream.is_object() ? stream.find("exports") : stream.end();
    if (inner == stream.end() || !inner->is_array()) continue;
    for (const json& each : *inner) {
      if (names.size() == kNamesMax) return names;
      names.emplace_back(name_in(stream, "name"), name_in(each, "identifier"));
    }
  }
  return names;
}

void print(const std::string& text) {
  Output out;
  out.write(text);
  out.flush();
}

int run_complete(const CommandTable& table, const Arguments& arguments) {
  const Completion found = complete(table, arguments.all("WORD"), {streams, exports});
  using Source = Completion::Source;
  std::string text = found.source == Source::kFiles         ? "files\n"
                     : found.source == Source::kDirectories ? "directories\n"
                                                            : "words\n";
  for (const auto& word : found.words) text += word.text + "\t" + word.meaning + "\n";
  print(text);
  return kOk;
}

Command completion_command() {
  return {.name = "completion",
          .summary = "Print the script with which a shell completes commands and names.",
          .description =
              "Names of streams and exports come from the running weir; when it does not answer, "
              "there are none. The Debian package installs the scripts. By hand:\n\n"
              "  weir completion bash > /etc/bash_completion.d/weir\n"
              "  weir completion zsh > /usr/local/share/zsh/site-functions/_weir\n"
              "  weir completion fish > ~/.config/fish/completions/weir.fish",
          .arguments = {{.name = "SHELL",
                         .text = "bash, zsh or fish.",
                         .kind = Kind::kChoice,
                         .choices = {"bash", "zsh", "fish"}}},
          .examples = {{"source <(weir completion bash)"}},
          .run = [](const Arguments& arguments) {
            print(completion_script(arguments.text("SHELL")));
            return kOk;
          }};
}

using Pages = std::map<std::string, std::function<std::string()>>;

int run_man(const CommandTable& table, const Pages& more_pages, const Arguments& arguments) {
  std::string name;
  for (const std::string& word : arguments.all("COMMAND")) {
    name += (name.empty() ? "" : " ") + word;
  }
  if (const auto found = more_pages.find(name); found != more_pages.end()) {
    print(found->second());
    return kOk;
  }
  // The commands of a group are on the group's page.
  const Command* command =
      find_command(table, name == "weir" ? "" : name.substr(0, name.find(' ')));
  if (command == nullptr || command->hidden) {
    complain(fmt::format("man: there is no page '{}'; weir --help shows all commands",
                         log::escaped(name, 64)));
    return kUsage;
  }
  print(manual_page(table, *command));
  return kOk;
}

}  // namespace

CommandTable table_commands(const std::function<CommandTable()>& table, Pages more_pages) {
  return {
      completion_command(),
      {.name = "man",
       .summary = "Print the manual page of a command, or of weir.yaml.",
       .description = "The Debian package installs the pages, so that 'man weir' shows them.",
       .arguments = {{"COMMAND", "A command; without one, weir itself.", Kind::kCommand, true,
                      true}},
       .examples = {{"weir man sub | man -l -"}, {"weir man weir.yaml | man -l -"}},
       .run = [table, more_pages = std::move(more_pages)](
                  const Arguments& arguments) { return run_man(table(), more_pages, arguments); }},
      {.name = "__complete",
       .summary = "What the scripts of 'completion' ask.",
       .arguments = {{"WORD", "Words of the line up to the cursor.", Kind::kText, true, true}},
       .hidden = true,
       .run = [table](const Arguments& arguments) { return run_complete(table(), arguments); }}};
}

}  // namespace weir::cli
