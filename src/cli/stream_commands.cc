#include "cli/stream_commands.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/definition_flags.h"
#include "cli/definition_json.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/stream_text.h"
#include "protocol/messages.h"

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

StreamFlags flags_from(const Arguments& arguments) {
  StreamFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  if (arguments.knows("STREAM")) flags.names = arguments.all("STREAM");
  if (!flags.names.empty()) flags.name = flags.names.front();
  if (arguments.knows("--output")) flags.output = arguments.text("--output");
  if (arguments.knows("--definition")) flags.definition = DefinitionFlags::from(arguments);
  const auto on = [&](const char* name) { return arguments.knows(name) && arguments.has(name); };
  flags.details = on("--long");
  flags.if_missing = on("--if-missing");
  flags.if_exists = on("--if-exists");
  return flags;
}

auto running(Result<void> (*body)(const StreamFlags&)) {
  return [body](const Arguments& arguments) -> int {
    const StreamFlags flags = flags_from(arguments);
    const Result<void> done = body(flags);
    if (done) return kOk;
    const bool usage = done.error().code == Errc::kInvalidArgument && flags.definition.any();
    const int status = failed(done.error());
    return usage && status == kFailed ? kUsage : status;
  };
}

std::vector<Flag> with_connection(std::vector<Flag> flags) {
  return joined(std::move(flags), ConnectionFlags::flags());
}

Argument the_stream(Kind kind) { return {"STREAM", "Name of the stream.", kind}; }

}  // namespace

CommandTable stream_commands() {
  return {
      {.name = "stream", .summary = "List, show, create, change and delete streams."},
      {.name = "stream ls",
       .summary = "List the streams.",
       .flags =
           with_connection({{"-l,--long", "", "With size, messages and exports."}, output_flag()}),
       .examples = {{"weir stream ls -l"}},
       .run = running(list)},
      {.name = "stream info",
       .summary = "Show one stream: definition, contents, exports.",
       .description = "With -o json it prints the whole definition as clients see it, in the form "
                      "that --definition of create and update reads.",
       .arguments = {the_stream(Kind::kStream)},
       .flags = with_connection({output_flag()}),
       .examples = {{"weir stream info telemetry -o json"}},
       .run = running(info)},
      {.name = "stream create",
       .summary = "Create a stream.",
       .arguments = {the_stream(Kind::kText)},
       .flags = with_connection(joined({{"--if-missing", "", "Succeed if it exists already."}},
                                       DefinitionFlags::flags())),
       .examples = {{"weir stream create telemetry --max-size 1GiB --on-full overwrite --ttl 7d"},
                    {"weir stream create orders --flush-on-write --kinesis-stream orders-eu"}},
       .run = running(create)},
      {.name = "stream update",
       .summary = "Change a stream; what is not named stays as it is.",
       .arguments = {the_stream(Kind::kStream)},
       .flags = with_connection(DefinitionFlags::flags()),
       .examples = {{"weir stream update telemetry --max-size 2GiB"}},
       .run = running(update)},
      {.name = "stream rm",
       .summary = "Delete streams with everything in them.",
       .arguments = {{"STREAM", "Names of the streams.", Kind::kStream, false, true}},
       .flags = with_connection({{"--if-exists", "", "Succeed if there is none."}}),
       .examples = {{"weir stream rm telemetry"}},
       .run = running(remove)}};
}

}  // namespace weir::cli
