#include "daemon/config_commands.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/output.h"
#include "daemon/config_files.h"
#include "daemon/config_sample.h"
#include "daemon/config_schema.h"
#include "daemon/settings.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace weir::daemon {
namespace {

using cli::AdminFlags;
using cli::Arguments;
using cli::Command;
using cli::Kind;
using nlohmann::json;

int failed(const Error& error) {
  cli::complain(error.what);
  return cli::kFailed;
}

int wrote(std::string_view text) {
  cli::Output output;
  output.write(text);
  output.flush();
  return cli::kOk;
}

std::vector<std::string> texts(const json& document, const char* name) {
  std::vector<std::string> all;
  const auto found = document.is_object() ? document.find(name) : document.end();
  if (found == document.end() || !found->is_array()) return all;
  for (const json& each : *found) {
    if (each.is_string()) all.push_back(each.get<std::string>());
  }
  return all;
}

void list(const char* heading, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  fmt::print("{}\n", heading);
  for (const auto& line : lines) fmt::print("  {}\n", log::escaped(line, 1'024));
}

int run_reload(const Arguments& arguments) {
  const auto answer = cli::post_order(AdminFlags::from(arguments), "/reload", "{}");
  if (!answer) return failed(answer.error());
  const json document = json::parse(answer->body, nullptr, false);
  const auto refused = texts(document, "refused");
  const auto failures = texts(document, "failed");
  const bool understood = document.is_object() && document.contains("refused");
  if (!understood) {
    return failed(
        {Errc::kUnavailable,
         fmt::format("weir answered {}: {}", answer->status, log::escaped(answer->body, 256)), 0});
  }
  if (arguments.text("--output") == "json") {
    wrote(answer->body);
  } else if (refused.empty()) {
    const auto changed = texts(document, "changed");
    const auto restart = texts(document, "needs_restart");
    if (changed.empty() && restart.empty()) fmt::print("Nothing has changed.\n");
    list("In force now:", changed);
    list("Waiting for a restart of weir:", restart);
    list("Could not be carried out:", failures);
  } else {
    for (const auto& line : refused) cli::note(log::escaped(line, 1'024));
    cli::complain("the configuration is refused; everything stays as it was");
  }
  return refused.empty() && failures.empty() ? cli::kOk : cli::kFailed;
}

Command reload_command() {
  return {
      .name = "reload",
      .summary = "Have the running weir read its configuration again.",
      .description =
          "What can change while weir runs takes effect at once; the rest is named and waits for a "
          "restart. If anything is wrong, nothing at all is changed, and the answer says what and "
          "where. SIGHUP does the same; what came of it is in the log and in weir status.",
      .flags = cli::joined({cli::output_flag()}, AdminFlags::order_flags()),
      .exits = {{cli::kFailed, "refused, or not everything could be carried out"}},
      .more = "[What can change while weir runs](reload.md).",
      .run = run_reload};
}

Result<void> write_new_file(const std::string& path, std::string_view text) {
  const std::string doing = fmt::format("write '{}'", log::escaped(path));
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                S_IRUSR | S_IWUSR | S_IRGRP);
  if (descriptor < 0 && errno == EEXIST) {
    return fail(Errc::kAlreadyExists,
                doing + ": it is there already and is not touched; name another file");
  }
  if (descriptor < 0) return fail(os_error(doing, errno));
  const ssize_t written = ::write(descriptor, text.data(), text.size());
  const int error = written < 0 ? errno : ENOSPC;
  if (::close(descriptor) == 0 && written == static_cast<ssize_t>(text.size())) return {};
  ::unlink(path.c_str());
  return fail(os_error(doing, error));
}

int run_init(const Arguments& arguments) {
  // The mark at the end makes a file that is cut off anywhere be noticed.
  const std::string text =
      sample_config() +
      "\n## The end of the file. A reload refuses a file that had this line and has it no more,\n"
      "## because it is then only half written. Keep it last.\n...\n";
  const std::string path = arguments.text("--output");
  if (path.empty()) return wrote(text);
  if (auto written = write_new_file(path, text); !written) return failed(written.error());
  cli::note(fmt::format("{} is written. Every key in it is commented out.", log::escaped(path)));
  return cli::kOk;
}

Command init_command() {
  return {
      .name = "config init",
      .summary = "Write a configuration file to start from, with every key commented out.",
      .description = "It asks nothing and overwrites nothing.",
      .flags = {{"-o,--output", "FILE", "Where to; without it to standard output.", Kind::kFile}},
      .examples = {{"weir config init --output /etc/weir/weir.yaml"}},
      .run = run_init};
}

Command schema_command() {
  return {.name = "config schema",
          .summary = "Print a JSON Schema of the configuration, for editors.",
          .description =
              "JSON Schema 2020-12. Editors that know YAML complete and check keys with it; weir "
              "validate checks more.",
          .examples = {{"weir config schema > weir.schema.json"}},
          .run = [](const Arguments&) { return wrote(config_schema_json()); }};
}

using Shown = std::map<std::string, ShownSetting>;

Result<Shown> running_values(const AdminFlags& flags) {
  WEIR_TRY(const std::string body, cli::http_get(flags.host, flags.port, "/config"));
  const json document = json::parse(body, nullptr, false);
  const auto values = document.is_object() ? document.find("values") : document.end();
  if (values == document.end() || !values->is_object()) {
    return fail(Errc::kUnavailable,
                "what answers on the admin port does not show a configuration; "
                "is it an older weir?");
  }
  Shown shown;
  const auto text = [](const json& each, const char* name) {
    const auto found = each.find(name);
    return found != each.end() && found->is_string() ? found->get<std::string>() : "";
  };
  for (const auto& [path, each] : values->items()) {
    if (each.is_object()) shown[path] = {text(each, "value"), text(each, "source")};
  }
  return shown;
}

Result<Shown> file_values(const Arguments& arguments) {
  ConfigSources sources = named_sources(arguments.text("--config"), arguments.text("--config-dir"));
  sources.environment = process_environment();
  const auto loaded = load_config(sources);
  for (const auto& note : loaded.config.notes) cli::note(note);
  for (const auto& problem : loaded.problems) cli::note(problem.text());
  if (!loaded.problems.empty()) {
    return fail(Errc::kInvalidArgument, "the configuration is wrong; weir would not start with it");
  }
  return shown_settings(loaded.config, true);
}

int run_show(const Arguments& arguments) {
  auto shown = arguments.has("--running") ? running_values(AdminFlags::from(arguments))
                                          : file_values(arguments);
  if (!shown) return failed(shown.error());
  if (!arguments.has("--effective")) {
    std::erase_if(*shown, [](const auto& entry) { return entry.second.source == "default"; });
  }
  if (arguments.text("--output") == "json") {
    json values = json::object();
    for (const auto& [path, each] : *shown) {
      values[path] = {{"value", each.value}, {"source", each.source}};
    }
    return wrote(json{{"values", values}}.dump(2, ' ', false, json::error_handler_t::replace) +
                 "\n");
  }
  std::string text;
  for (const auto& [path, each] : *shown) {
    const std::string line = fmt::format("{}: {}", path, log::escaped(each.value, 1'024));
    text += fmt::format("{:<60}  # {}\n", line, log::escaped(each.source, 256));
  }
  if (text.empty()) cli::note("Nothing is set; --effective shows the defaults.");
  return wrote(text);
}

Command show_command() {
  return {
      .name = "config show",
      .summary = "Show what is set, and where; secrets are hidden.",
      .description =
          "From the files and this command's own environment, or with --running from the weir that "
          "runs: the two differ when a file was changed and not read again.",
      .flags = cli::joined(cli::joined({{"--effective", "", "Defaults too."},
                                        {"--running", "", "Of the weir that runs."},
                                        cli::output_flag()},
                                       configuration_flags()),
                           AdminFlags::flags()),
      .examples = {{"weir config show"}, {"weir config show --running --effective"}},
      .run = run_show};
}

}  // namespace

std::vector<cli::Flag> configuration_flags() {
  return {{"--config", "FILE",
           "Configuration file, as for serve. Default: /etc/weir/weir.yaml, if it exists.",
           Kind::kFile},
          {"--config-dir", "DIR", "Directory of further files, instead of conf.d beside the file.",
           Kind::kDirectory}};
}

cli::CommandTable config_commands() {
  return {reload_command(),
          {.name = "config", .summary = "Write, describe and show the configuration."},
          init_command(),
          schema_command(),
          show_command()};
}

}  // namespace weir::daemon
