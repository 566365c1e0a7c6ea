#include "daemon/command.h"

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/program.h"
#include "cli/table_commands.h"
#include "daemon/config_commands.h"
#include "daemon/configuration_page.h"
#include "daemon/doctor.h"
#include "daemon/fsck.h"
#include "daemon/salvage.h"
#include "daemon/serve.h"
#include "daemon/support_bundle.h"

#include <cstdio>
#include <fmt/format.h>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace weir::daemon {
namespace {

using cli::Arguments;
using cli::Command;
using cli::CommandTable;
using cli::Kind;

int run_serve(const Arguments& arguments) {
  ConfigSources sources = named_sources(arguments.text("--config"), arguments.text("--config-dir"));
  sources.environment = process_environment();
  const std::pair<const char*, const char*> settings[] = {{"--store", "store.directory"},
                                                          {"--port", "server.port"},
                                                          {"--admin-port", "admin.port"},
                                                          {"--log-level", "log.level"}};
  for (const auto& [flag, key] : settings) {
    if (const auto value = arguments.maybe(flag)) sources.options.push_back({flag, key, *value});
  }
  return serve(sources);
}

Command serve_command() {
  return {
      .name = "serve",
      .summary = "Run the stream manager in the foreground until SIGTERM or SIGINT.",
      .description =
          "Logs to standard error. When programs can connect it prints one line on standard "
          "output, whose form is a promise:\n\n"
          "  weir ready: address=127.0.0.1:8088 port=8088 admin=8089 store=/var/lib/weir\n\n"
          "A first SIGTERM or SIGINT stops in order: connections are answered and closed, "
          "everything is synced, positions are saved. A second one stops at once, which is as safe "
          "as a crash. SIGHUP reads the configuration again, as weir reload does.\n\n"
          "Settings: defaults, then files, then environment, then the options of the command "
          "line.",
      // Ports and level stay text here: the table of settings checks them, wherever they come from.
      .flags = {{"--config", "FILE",
                 "Configuration file (YAML); files in conf.d beside it are read too. Default: "
                 "/etc/weir/weir.yaml, if it exists.",
                 Kind::kFile},
                {"--config-dir", "DIR",
                 "Directory of further files, *.yaml, instead of conf.d beside the file.",
                 Kind::kDirectory},
                {"--store", "DIR", "Directory of the store.", Kind::kDirectory},
                {"--port", "PORT", "Port for programs; 0 = any free one."},
                {"--admin-port", "PORT", "Port for operators; 0 = any free one, -1 = none."},
                {"--log-level", "LEVEL", "trace, debug, info, warn or error."}},
      .more = "[All settings](configuration.md).",
      .run = run_serve};
}

Command validate_command() {
  return {
      .name = "validate",
      .summary = "Check a configuration file and say what is wrong, and where.",
      .description =
          "Names every mistake with file, line and column, and the nearest known "
          "key.",
      .arguments = {{"FILE",
                     "The file, or a directory with weir.yaml or other *.yaml files in it; without "
                     "it /etc/weir/weir.yaml.",
                     Kind::kFile, true}},
      .exits = {{cli::kFailed, "there is a mistake"}},
      .run = [](const Arguments& arguments) {
        const std::string named = arguments.maybe("FILE").value_or(kDefaultConfigFile);
        return validate_config(named_sources(named, {}), named);
      }};
}

Command fsck_command() {
  return {
      .name = "fsck",
      .summary = "Read a store and say what is sound, torn or damaged; or mend it, or save it.",
      .description =
          "Without --repair and --salvage it changes nothing. Torn means an unfinished write at "
          "the end, which the next start cuts off; nothing acknowledged is lost by it.\n\n"
          "weir starts on a damaged store all the same and serves what is readable. --repair is "
          "for a store that is to be sound again, --salvage for a disk that is to be replaced.",
      .arguments = {{"DIR", "Directory of the store.", Kind::kDirectory}},
      .flags = {{"--repair", "",
                 "Cut out damage, write definitions and state again from what is left, and move "
                 "what cannot be read to a directory in the quarantine. Deletes nothing; weir must "
                 "not run."},
                {.names = "--salvage",
                 .value = "OUT",
                 .text = "Write every readable message to the new directory OUT, as sub --json "
                         "does, one file a stream; the store stays untouched.",
                 .kind = Kind::kDirectory,
                 .excludes = "--repair"},
                cli::output_flag()},
      .examples = {{"weir fsck /var/lib/weir"},
                   {"weir fsck /var/lib/weir --salvage /mnt/usb/weir",
                    "first, when a disk begins to fail"},
                   {"weir fsck /var/lib/weir --repair"}},
      .exits = {{cli::kOk,
                 "sound or torn; with --repair: it is now; with --salvage: all is saved "
                 "that can be read"},
                {cli::kFailed, "damaged or not readable"}},
      .more = "[When something is broken](recovery.md).",
      .run = [](const Arguments& arguments) {
        const std::string directory = arguments.text("DIR");
        const bool as_json = arguments.text("--output") == "json";
        if (const auto out = arguments.maybe("--salvage")) return salvage(directory, *out, as_json);
        return arguments.has("--repair") ? repair(directory, as_json) : fsck(directory, as_json);
      }};
}

Command doctor_command() {
  return {.name = "doctor",
          .summary = "Look at everything weir needs and say what is wrong and what to do about it.",
          .description =
              "Looks at the configuration, the machine, the store, the network and every "
              "destination, whether weir runs or not. Destinations are asked with calls that "
              "store nothing. What is in order comes first, what is to be fixed last. It takes "
              "less than 30 seconds, whatever hangs.",
          .flags = cli::joined(
              configuration_flags(),
              {{"--json", "", "Print JSON."}, {"--offline", "", "Ask nothing over the network."}}),
          .examples = {{"sudo -u weir weir doctor"},
                       {"weir doctor --json | jq '.checks[] | select(.level == \"error\")'"}},
          .exits = {{cli::kOk, "no error; there may be warnings"},
                    {cli::kFailed, "something has to be fixed"}},
          .more = "[Every check](doctor.md).",
          .run = [](const Arguments& arguments) {
            return doctor({arguments.text("--config"), arguments.text("--config-dir"),
                           arguments.has("--json"), arguments.has("--offline")});
          }};
}

Command program() {
  return {.name = "",
          .summary = "weir keeps messages of local programs in durable streams and sends them on.",
          .flags = {{"-V,--version", "", "Print the version."}}};
}

}  // namespace

CommandTable all_commands() {
  CommandTable table = {program(), serve_command(), validate_command(), doctor_command(),
                        fsck_command()};
  for (Command& command : config_commands()) table.push_back(std::move(command));
  table.push_back(support_bundle_command());
  CommandTable client = cli::client_commands();
  table.insert(table.end(), std::make_move_iterator(client.begin()),
               std::make_move_iterator(client.end()));
  for (Command& command : cli::table_commands(all_commands, {{"weir.yaml", configuration_page}})) {
    table.push_back(std::move(command));
  }
  return table;
}

int run_command(int argc, char** argv) {
  try {
    return cli::run_program(all_commands(), {argv + (argc > 0 ? 1 : 0), argv + argc});
  } catch (const std::exception& error) {
    std::fputs(fmt::format("weir: {}\n", error.what()).c_str(), stderr);
    return cli::kFailed;
  }
}

}  // namespace weir::daemon
