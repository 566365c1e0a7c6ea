#include "cli/stream_commands.h"

#include "base/log.h"
#include "cli/client.h"
#include "cli/definition_flags.h"
#include "cli/definition_json.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/stream_text.h"
#include "protocol/messages.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace weir::cli {
namespace {

using nlohmann::ordered_json;

struct StreamFlags {
  ConnectionFlags connection;
  DefinitionFlags definition;
  std::vector<std::string> names;
  std::string name;
  std::string output = "text";
  bool details = false;
  bool if_missing = false;
  bool if_exists = false;
};

Result<std::unique_ptr<Client>> connect(const StreamFlags& flags, const Interrupt& interrupt) {
  WEIR_TRY(const Endpoint endpoint, flags.connection.endpoint());
  return Client::connect(endpoint, &interrupt);
}

Result<model::StreamInfo> describe(Client& client, const std::string& name) {
  auto response =
      client.request("describe stream " + log::escaped(name), protocol::DescribeRequest{{}, name});
  if (!response) return fail(std::move(response).error());
  if (!response->info) {
    return fail(Errc::kCorrupt, client.where() + " described the stream without saying anything");
  }
  return std::move(*response->info);
}

void print(const std::string& text) {
  Output out;
  out.write(text);
  out.flush();
}

Result<void> list(const StreamFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(auto client, connect(flags, interrupt));
  auto response = client->request("list streams", protocol::ListRequest{});
  if (!response) return fail(std::move(response).error());
  std::vector<model::StreamInfo> infos;
  Result<void> outcome;
  for (const std::string& name : response->streams) {
    if (!flags.details) break;
    auto info = describe(*client, name);
    if (info) {
      infos.push_back(std::move(*info));
    } else if (info.error().code != Errc::kNotFound) {  // deleted meanwhile
      outcome = fail(std::move(info).error());          // the others are shown all the same
    }
  }
  if (flags.output == "json") {
    ordered_json document = response->streams;
    if (flags.details) {
      document = ordered_json::array();
      for (const auto& info : infos) document.push_back(info_to_json(info));
    }
    print(document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  } else if (flags.details) {
    print(streams_table(infos));
  } else {
    std::string text;
    for (const std::string& name : response->streams) text += log::escaped(name) + "\n";
    print(text);
  }
  return outcome;
}

Result<void> info(const StreamFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(auto client, connect(flags, interrupt));
  WEIR_TRY(const model::StreamInfo known, describe(*client, flags.name));
  print(flags.output == "json"
            ? info_to_json(known).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n"
            : stream_text(known));
  return {};
}

Result<void> create(const StreamFlags& flags) {
  WEIR_TRY(auto definition, flags.definition.apply({}, flags.name));
  const Interrupt interrupt;
  WEIR_TRY(auto client, connect(flags, interrupt));
  const std::string doing = "create stream " + log::escaped(flags.name);
  WEIR_TRY(auto response, client->call(protocol::CreateRequest{{}, std::move(definition)}));
  if (response.status == protocol::Status::kSuccess) {
    note("created stream " + flags.name);
    return {};
  }
  if (flags.if_missing && response.error_message == protocol::kTextStreamExists) {
    note("stream " + flags.name + " exists already");
    return {};
  }
  std::string advice;
  if (response.error_message == protocol::kTextStreamExists) {
    advice = "; change it with 'weir stream update', or add --if-missing";
  }
  return fail(Errc::kConflict,
              fmt::format("{}: {} ({}){}", doing, log::escaped(response.error_message, 4096),
                          protocol::status_name(response.status), advice));
}

Result<void> update(const StreamFlags& flags) {
  if (!flags.definition.any()) {
    return fail(Errc::kInvalidArgument,
                "nothing to change: name at least one option; see weir stream update --help");
  }
  const Interrupt interrupt;
  WEIR_TRY(auto client, connect(flags, interrupt));
  WEIR_TRY(auto known, describe(*client, flags.name));
  // An update replaces everything, so it starts from what there is.
  WEIR_TRY(auto definition, flags.definition.apply(std::move(known.definition), flags.name));
  auto response = client->request("update stream " + log::escaped(flags.name),
                                  protocol::UpdateRequest{{}, std::move(definition)});
  if (!response) return fail(std::move(response).error());
  note("updated stream " + flags.name);
  return {};
}

Result<void> remove(const StreamFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(auto client, connect(flags, interrupt));
  for (const std::string& name : flags.names) {
    auto response =
        client->request("delete stream " + log::escaped(name), protocol::DeleteRequest{{}, name});
    if (!response && flags.if_exists && response.error().code == Errc::kNotFound) continue;
    if (!response) return fail(std::move(response).error());
    note("deleted stream " + log::escaped(name));
  }
  return {};
}

void add_output_option(CLI::App& command, StreamFlags& flags) {
  command.add_option("-o,--output", flags.output, "text or json.")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void add_name(CLI::App& command, StreamFlags& flags) {
  command.add_option("NAME", flags.name, "Name of the stream.")->required();
}

/// One subcommand that runs `body`; its flags live in the callback, so as long as `command`.
template <class Body>
CLI::App& add_command(CLI::App& parent, const char* name, const char* description,
                      const char* footer, int& status, Body body,
                      void (*add_flags)(CLI::App&, StreamFlags&)) {
  auto flags = std::make_shared<StreamFlags>();
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer(footer);
  add_flags(*command, *flags);
  flags->connection.add_to(*command);
  command->callback([flags, body, &status] {
    const Result<void> done = body(*flags);
    status = kOk;
    if (done) return;
    const bool usage = done.error().code == Errc::kInvalidArgument && flags->definition.any();
    status = failed(done.error());
    if (usage && status == kFailed) status = kUsage;
  });
  return *command;
}

}  // namespace

void add_stream_commands(CLI::App& app, int& status) {
  CLI::App* stream = app.add_subcommand("stream", "List, show, create, change and delete streams.");
  stream->require_subcommand(1);
  add_command(*stream, "ls", "List the streams.", "Example: weir stream ls -l", status, list,
              [](CLI::App& command, StreamFlags& flags) {
                command.add_flag("-l,--long", flags.details, "With size, messages and exports.");
                add_output_option(command, flags);
              });
  add_command(*stream, "info", "Show one stream: definition, contents, exports.",
              "Example: weir stream info telemetry -o json", status, info,
              [](CLI::App& command, StreamFlags& flags) {
                add_name(command, flags);
                add_output_option(command, flags);
              });
  add_command(*stream, "create", "Create a stream.",
              "Examples:\n"
              "  weir stream create telemetry --max-size 1GiB --on-full overwrite --ttl 7d\n"
              "  weir stream create orders --flush-on-write --kinesis-stream orders-eu",
              status, create, [](CLI::App& command, StreamFlags& flags) {
                add_name(command, flags);
                command.add_flag("--if-missing", flags.if_missing, "Succeed if it exists already.");
                flags.definition.add_to(command);
              });
  add_command(*stream, "update", "Change a stream; what is not named stays as it is.",
              "Example: weir stream update telemetry --max-size 2GiB", status, update,
              [](CLI::App& command, StreamFlags& flags) {
                add_name(command, flags);
                flags.definition.add_to(command);
              });
  add_command(*stream, "rm", "Delete streams with everything in them.",
              "Example: weir stream rm telemetry", status, remove,
              [](CLI::App& command, StreamFlags& flags) {
                command.add_option("NAME", flags.names, "Names of the streams.")->required();
                command.add_flag("--if-exists", flags.if_exists, "Succeed if there is none.");
              });
}

}  // namespace weir::cli
