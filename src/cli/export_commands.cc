#include "cli/export_commands.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/start_position.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace weir::cli {
namespace {

using nlohmann::json;

struct ExportFlags {
  AdminFlags admin;
  ConnectionFlags connection;
  std::string stream;
  std::string identifier;
  std::string to;
  bool yes = false;
};

/// The only export of the stream, for those who did not name one.
Result<std::string> only_export(const ExportFlags& flags) {
  WEIR_TRY(const json status, ask_status(flags.admin));
  std::vector<std::string> names;
  bool known = false;
  const auto streams = status.find("streams");
  if (streams != status.end() && streams->is_array()) {
    for (const json& stream : *streams) {
      if (stream.value("name", "") != flags.stream) continue;
      known = true;
      for (const json& entry : stream.value("exports", json::array())) {
        names.push_back(entry.value("identifier", ""));
      }
    }
  }
  if (names.size() == 1) return names.front();
  const std::string stream_name = log::escaped(flags.stream);
  if (!known) {
    return fail(Errc::kNotFound,
                fmt::format("there is no stream '{}'; weir status shows them all", stream_name));
  }
  if (names.empty()) {
    return fail(Errc::kNotFound, fmt::format("stream '{}' has no export", stream_name));
  }
  std::string all;
  for (const auto& name : names) all += " " + log::escaped(name);
  return fail(Errc::kInvalidArgument, "the stream has several exports; name one:" + all);
}

Result<void> give(const ExportFlags& flags, json order) {
  std::string identifier = flags.identifier;
  if (identifier.empty()) {
    WEIR_TRY(identifier, only_export(flags));
  }
  order["stream"] = flags.stream;
  order["export"] = identifier;
  auto done = give_export_order(flags.admin, order);
  const std::string whom = fmt::format("export '{}' of stream '{}'", log::escaped(identifier),
                                       log::escaped(flags.stream));
  if (!done && done.error().code == Errc::kConflict) {
    return fail(Errc::kConflict, fmt::format("{}: {}; nothing was changed, add --yes to do it",
                                             whom, done.error().what));
  }
  if (!done) return fail(with_context(whom, done.error()));
  Output out;
  out.write(fmt::format("{}: {}\n", whom, log::escaped(*done, 1024)));
  out.flush();
  return {};
}

/// The number that `--to` stands for.
Result<std::int64_t> place(const ExportFlags& flags, const StartPosition& position) {
  if (position.kind == StartPosition::Kind::kSequence) return position.value;
  const Interrupt interrupt;
  WEIR_TRY(const Endpoint endpoint, flags.connection.endpoint());
  WEIR_TRY(const auto client, Client::connect(endpoint, &interrupt));
  const std::string doing = "describe stream " + log::escaped(flags.stream);
  auto described = client->request(doing, protocol::DescribeRequest{{}, flags.stream});
  if (!described) return fail(std::move(described).error());
  if (!described->info) return fail(Errc::kCorrupt, doing + ": the server did not describe it");
  const auto& storage = described->info->storage_status;
  return find_start(*client, flags.stream, position, storage.oldest_sequence_number,
                    storage.newest_sequence_number);
}

int run_rewind(const ExportFlags& flags) {
  const auto position = parse_start_position(flags.to);
  if (!position) {
    complain(
        fmt::format("--to {}: write start, end, -N for the last N messages, a sequence "
                    "number, or a time such as 2026-11-20T09:00:00Z",
                    log::escaped(flags.to)));
    return kUsage;
  }
  const auto number = place(flags, *position);
  if (!number) return failed(number.error());
  const auto done = give(flags, {{"order", "move"}, {"to", *number}, {"confirmed", flags.yes}});
  return done ? kOk : failed(done.error());
}

CLI::App* add_order(CLI::App& group, const std::shared_ptr<ExportFlags>& flags,
                    const std::string& name, const std::string& words) {
  CLI::App* command = group.add_subcommand(name, words);
  command->add_option("STREAM", flags->stream, "Name of the stream.")->required();
  command->add_option("EXPORT", flags->identifier,
                      "Identifier of the export. Not needed where the stream has only one.");
  flags->admin.add_to(*command);
  return command;
}

}  // namespace

void add_export_commands(CLI::App& app, int& status) {
  CLI::App* group = app.add_subcommand("export", "Pause, resume, move and retry exports.");
  group->require_subcommand(1);
  const std::pair<const char*, const char*> simple[] = {
      {"pause", "Send nothing more until it is resumed, also after a restart."},
      {"resume", "Go on where it was paused."},
      {"retry-now", "Do not wait any longer after a failure."}};
  for (const auto& [name, words] : simple) {
    auto flags = std::make_shared<ExportFlags>();
    add_order(*group, flags, name, words)->callback([flags, &status, order = std::string(name)] {
      const auto done = give(*flags, {{"order", order}});
      status = done ? kOk : failed(done.error());
    });
  }
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* rewind = add_order(*group, flags, "rewind",
                               "Go on at another message: an older one is sent again, a newer one "
                               "leaves out what is between.");
  rewind
      ->add_option("--to", flags->to,
                   "Where to go on: a sequence number, a time, start, end, or -N (the last N).")
      ->required();
  rewind->add_flag("--yes", flags->yes, "Yes, send messages again or leave them out.");
  flags->connection.add_to(*rewind);
  rewind->footer(
      "Examples:\n"
      "  weir export rewind telemetry to-cloud --to 2026-11-20T09:00:00Z --yes\n"
      "  weir export rewind telemetry --to end --yes");
  rewind->callback([flags, &status] { status = run_rewind(*flags); });
}

}  // namespace weir::cli
