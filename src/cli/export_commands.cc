#include "cli/export_commands.h"

#include "base/log.h"
#include "cli/admin_port.h"
#include "cli/arguments.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/start_position.h"

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

/// What stands for a time in the order: the number of the first message that is not older.
Result<std::int64_t> number_at(const ExportFlags& flags, const StartPosition& position) {
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

/// The order for `position`. What the stream holds changes meanwhile, so weir finds the ends.
Result<json> move_order(const ExportFlags& flags, const StartPosition& position) {
  using At = StartPosition::Kind;
  json order = {{"order", "move"}, {"confirmed", flags.yes}};
  switch (position.kind) {
    case At::kStart:
      order["to"] = "start";
      break;
    case At::kEnd:
      order["to"] = "end";
      break;
    case At::kLast:
      if (position.value == 0) {
        order["to"] = "end";
      } else {
        order["to"] = -position.value;
      }
      break;
    case At::kSequence:
      order["to"] = position.value;
      break;
    case At::kTime: {
      WEIR_TRY(order["to"], number_at(flags, position));
      order["or_end"] = true;
      break;
    }
  }
  return order;
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
  const auto order = move_order(flags, *position);
  if (!order) return failed(order.error());
  const auto done = give(flags, *order);
  return done ? kOk : failed(done.error());
}

ExportFlags flags_from(const Arguments& arguments) {
  ExportFlags flags;
  flags.admin = AdminFlags::from(arguments);
  flags.stream = arguments.text("STREAM");
  flags.identifier = arguments.text("EXPORT");
  // As `weir status` writes it; the name of a stream has no slash.
  const std::size_t slash = flags.stream.find('/');
  if (flags.identifier.empty() && slash != std::string::npos) {
    flags.identifier = flags.stream.substr(slash + 1);
    flags.stream.resize(slash);
  }
  return flags;
}

Command order(const std::string& name, const std::string& summary) {
  return {.name = "export " + name,
          .summary = summary,
          .arguments = {{"STREAM", "Name of the stream, or STREAM/EXPORT as status writes it.",
                         Kind::kStream},
                        {"EXPORT",
                         "Identifier of the export. Not needed where the stream has only one.",
                         Kind::kExport, true}},
          .flags = AdminFlags::order_flags(),
          .exits = {{kOk, "done, and on stable storage"},
                    {kFailed,
                     "refused, or no answer in time: then the order may still be carried out "
                     "later, and weir status shows whether it was"}},
          .run = [name](const Arguments& arguments) -> int {
            const auto done = give(flags_from(arguments), {{"order", name}});
            return done ? kOk : failed(done.error());
          }};
}

Command rewind() {
  Command command = order("rewind", "Go on at another message, older or newer.");
  command.description =
      "It goes back, so that messages are sent again, or forward, so that those in between are "
      "never sent by this export. Without --yes it changes nothing and says how many messages "
      "that would be. What is under way at that moment may still arrive. The end, and a time, are "
      "those of what is on stable storage: of a stream that is being appended to, the messages of "
      "the last moment (store.sync_interval_ms) are still sent.";
  command.flags =
      joined(joined({{.names = "--to",
                      .value = "WHERE",
                      .text = "A sequence number, a time, start, end, or -N (the last N).",
                      .required = true},
                     {"--yes", "", "Yes, send messages again or leave them out."}},
                    command.flags),
             ConnectionFlags::flags());
  command.examples = {{"weir export rewind telemetry to-cloud --to 2026-11-20T09:00:00Z --yes"},
                      {"weir export rewind telemetry --to end --yes"}};
  command.run = [](const Arguments& arguments) -> int {
    ExportFlags flags = flags_from(arguments);
    flags.connection = ConnectionFlags::from(arguments);
    flags.to = arguments.text("--to");
    flags.yes = arguments.has("--yes");
    return run_rewind(flags);
  };
  return command;
}

}  // namespace

CommandTable export_commands() {
  return {{.name = "export",
           .summary = "Pause, resume, move and retry exports.",
           .description =
               "EXPORT is its identifier; a stream with one export needs none. When a command "
               "succeeds, what it changed is on stable storage.\n\n"
               "Orders go to the admin port and carry a token that weir writes to 'admin-token' "
               "in its store each time it starts, readable by its own user only. So they are for "
               "weir's user and for root; --admin-token-file names a copy, for a container. curl "
               "works too:\n\n"
               "  curl -H \"Authorization: Bearer $(cat /var/lib/weir/admin-token)\" \\\n"
               "       http://127.0.0.1:8089/exports \\\n"
               "       -d '{\"stream\": \"telemetry\", \"export\": \"to-cloud\",\n"
               "            \"order\": \"move\", \"to\": 17, \"confirmed\": true}'\n\n"
               "The order is 'pause', 'resume', 'move' or 'retry-now'; 'to' is a sequence number, "
               "\"start\", \"end\" or -N. The answer is {\"done\": "
               "\"...\"}, or {\"error\": \"...\"} with status 400, 401 (token), 404, 409 (needs "
               "'confirmed'), 503 (not in this state) or 504 (not carried out within 10 s)."},
          order("pause", "Send nothing more until it is resumed, also after a restart."),
          order("resume", "Go on where it was paused."),
          rewind(),
          order("retry-now", "Do not wait any longer after a failure.")};
}

}  // namespace weir::cli
