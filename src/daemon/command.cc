#include "daemon/command.h"

#include "base/log.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "daemon/fsck.h"
#include "daemon/serve.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

namespace weir::daemon {
namespace {

constexpr int kUsage = 2;
constexpr int kFailed = 1;

struct ServeFlags {
  std::string config;
  // Kept as text: the key table checks them, as it checks everything else.
  std::optional<std::string> store;
  std::optional<std::string> port;
  std::optional<std::string> admin_port;
  std::optional<std::string> log_level;
};

std::vector<std::string> config_files(const std::string& named) {
  if (!named.empty()) return with_drop_ins(named);
  if (::access(kDefaultConfigFile, F_OK) == 0) return with_drop_ins(kDefaultConfigFile);
  return {};
}

int run_serve(const ServeFlags& flags) {
  ConfigSources sources;
  sources.files = config_files(flags.config);
  sources.environment = process_environment();
  const auto add = [&](const char* flag, const char* key, const std::optional<std::string>& value) {
    if (value) sources.options.push_back({flag, key, *value});
  };
  add("--store", "store.directory", flags.store);
  add("--port", "server.port", flags.port);
  add("--admin-port", "admin.port", flags.admin_port);
  add("--log-level", "log.level", flags.log_level);
  return serve(sources);
}

void add_serve(CLI::App& app, ServeFlags& flags, int& status) {
  auto* serve_command = app.add_subcommand(
      "serve", "Run the stream manager in the foreground until SIGTERM or SIGINT.");
  serve_command->add_option("--config", flags.config,
                            "Configuration file (YAML); files in conf.d beside it are read too. "
                            "Default: /etc/weir/weir.yaml, if it exists.");
  serve_command->add_option("--store", flags.store, "Directory of the store.");
  serve_command->add_option("--port", flags.port, "Port for programs; 0 = any free one.");
  serve_command->add_option("--admin-port", flags.admin_port,
                            "Port for operators; 0 = any free one, -1 = none.");
  serve_command->add_option("--log-level", flags.log_level, "trace, debug, info, warn or error.");
  serve_command->footer(
      "Prints one line, 'weir ready: port=... admin=... store=...', when programs can connect.\n"
      "A first SIGTERM or SIGINT stops in order, a second one at once.\n"
      "Settings: defaults, then files, then environment, then the options above.");
  serve_command->callback([&flags, &status] { status = run_serve(flags); });
}

void add_validate(CLI::App& app, std::string& file, int& status) {
  auto* validate_command = app.add_subcommand(
      "validate", "Check a configuration file and say what is wrong, and where.");
  validate_command->add_option("file", file, "The file; default: /etc/weir/weir.yaml.");
  validate_command->callback([&file, &status] {
    status = validate_files(with_drop_ins(file.empty() ? kDefaultConfigFile : file));
  });
}

struct FsckFlags {
  std::string directory;
  std::string output = "text";
};

void add_fsck(CLI::App& app, FsckFlags& flags, int& status) {
  auto* fsck_command = app.add_subcommand(
      "fsck", "Read a store and say what is sound, torn or damaged, and where; changes nothing.");
  fsck_command->add_option("directory", flags.directory, "Directory of the store.")->required();
  fsck_command->add_option("-o,--output", flags.output, "text or json.")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  fsck_command->footer(
      "torn: an unfinished write at the end, which the next start cuts off; nothing is lost.\n"
      "Exit status: 0 sound or torn, 1 damaged or not readable.");
  fsck_command->callback(
      [&flags, &status] { status = fsck(flags.directory, flags.output == "json"); });
}

// The library would only say that a subcommand is required.
std::string unknown_subcommand(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return {};
  const std::string word = argv[1];
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == word) return {};
    known.push_back(command->get_name());
  }
  const std::string near = nearest(word, known);
  return fmt::format("weir: there is no subcommand '{}'{}; weir --help shows them all",
                     log::escaped(word, 64), near.empty() ? "" : ", did you mean '" + near + "'?");
}

int run(int argc, char** argv) {
  CLI::App app("weir keeps messages of local programs in durable streams and sends them on.",
               "weir");
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.require_subcommand(1);
  int status = 0;
  ServeFlags serve_flags;
  std::string validate_file;
  add_serve(app, serve_flags, status);
  FsckFlags fsck_flags;
  add_validate(app, validate_file, status);
  add_fsck(app, fsck_flags, status);
  const cli::Commands client_commands(app);
  if (const std::string complaint = unknown_subcommand(app, argc, argv); !complaint.empty()) {
    fmt::print(stderr, "{}\n", complaint);
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has many codes; ours are 0 (help, version) and 2.
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return status != 0 ? status : client_commands.status();
}

}  // namespace

int run_command(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("weir: {}\n", error.what()).c_str(), stderr);
    return kFailed;
  }
}

}  // namespace weir::daemon
