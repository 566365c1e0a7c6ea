#include "cli/dead_letter_commands.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/dead_letter_replay.h"
#include "cli/dead_letters.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

namespace weir::cli {
namespace {

using nlohmann::ordered_json;

struct DeadLetterFlags {
  ConnectionFlags connection;
  std::string from = "weir-dlq";
  std::string output = "text";
  std::int64_t number = 0;
  std::vector<std::string> ranges;
  std::string to;
  std::string only;
  bool all = false;
  bool payload = false;
  bool yes = false;
};

Result<std::unique_ptr<Client>> connect(const DeadLetterFlags& flags, const Interrupt& interrupt) {
  WEIR_TRY(const Endpoint endpoint, flags.connection.endpoint());
  return Client::connect(endpoint, &interrupt);
}

ordered_json letter_json(const protocol::StoredMessage& message, const DeadLetterView& letter) {
  return {{"number", message.sequence_number},
          {"refusedTime", letter.refused_ms},
          {"stream", letter.stream},
          {"export", letter.identifier},
          {"sequenceNumber", letter.sequence_number},
          {"payloadBytes", letter.payload.size()},
          {"reason", letter.reason}};
}

std::string dump(const ordered_json& document, int indent) {
  return document.dump(indent, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<void> list(const DeadLetterFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(const auto client, connect(flags, interrupt));
  auto letters = DeadLetters::open(*client, flags.from);
  if (!letters && letters.error().code == Errc::kNotFound) {
    note(fmt::format("no dead letters: there is no stream {}", log::escaped(flags.from)));
    return {};
  }
  if (!letters) return fail(std::move(letters).error());
  Output out;
  std::int64_t count = 0;
  auto done = letters->read(
      {},
      [&](const protocol::StoredMessage& message, const DeadLetterView& letter) -> Result<void> {
        ++count;
        if (flags.output == "json") {
          out.write(dump(letter_json(message, letter), -1));
        } else {
          out.write(fmt::format("{}  {}  {}/{} message {}, {}: {}\n", message.sequence_number,
                                iso_time(letter.refused_ms), log::escaped(letter.stream),
                                log::escaped(letter.identifier), letter.sequence_number,
                                human_bytes(static_cast<std::int64_t>(letter.payload.size())),
                                log::escaped(letter.reason, 512)));
        }
        return {};
      });
  out.flush();
  letters->note_strays();
  if (done && count == 0) note("no dead letters");
  return done;
}

Result<void> show(const DeadLetterFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(const auto client, connect(flags, interrupt));
  WEIR_TRY(DeadLetters letters, DeadLetters::open(*client, flags.from));
  return letters.read_one(
      flags.number,
      [&](const protocol::StoredMessage& message, const DeadLetterView& letter) -> Result<void> {
        Output out;
        const std::string_view payload = as_text(letter.payload);
        if (flags.payload) {
          out.write(payload);
        } else {
          auto document = letter_json(message, letter);
          document["payloadBase64"] = base64(payload);
          out.write(dump(document, 2));
        }
        out.flush();
        return {};
      });
}

/// What to replay, as it was typed. Errors: kInvalidArgument.
Result<Replay> wanted_of(const DeadLetterFlags& flags) {
  if (flags.all != flags.ranges.empty()) {
    return fail(Errc::kInvalidArgument, "name the letters to replay, or --all, not both");
  }
  Replay wanted{flags.from, {}, flags.to, flags.only, {}};
  for (const std::string& word : flags.ranges) {
    const auto range = parse_letter_range(word);
    if (!range) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("{} names no letter: write a number as ls shows it, 3-7, or 3- for "
                              "all from 3 on",
                              log::escaped(word)));
    }
    wanted.ranges.push_back(*range);
  }
  if (flags.all) wanted.ranges.emplace_back();
  // The name of a stream has no slash.
  if (const auto slash = flags.only.find('/'); slash != std::string::npos) {
    wanted.only_stream = flags.only.substr(0, slash);
    wanted.only_identifier = flags.only.substr(slash + 1);
  }
  return wanted;
}

Result<void> replay(const DeadLetterFlags& flags) {
  WEIR_TRY(const Replay wanted, wanted_of(flags));
  if (!flags.yes) {
    return fail(Errc::kConflict,
                "a replayed message is appended to its stream again, so every export and reader "
                "of that stream gets it a second time, and a letter stays in the dead-letter "
                "stream; nothing was done, add --yes to do it (--to names another stream)");
  }
  const Interrupt interrupt;
  WEIR_TRY(const auto client, connect(flags, interrupt));
  return replay_letters(*client, wanted);
}

DeadLetterFlags flags_from(const Arguments& arguments) {
  DeadLetterFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  flags.from = arguments.text("--from");
  if (arguments.knows("--output")) flags.output = arguments.text("--output");
  if (arguments.knows("NUMBER")) flags.number = arguments.number("NUMBER");
  if (arguments.knows("--payload")) flags.payload = arguments.has("--payload");
  if (arguments.knows("--all")) {
    flags.ranges = arguments.all("LETTERS");
    flags.all = arguments.has("--all");
    flags.only = arguments.text("--only");
    flags.to = arguments.text("--to");
    flags.yes = arguments.has("--yes");
  }
  return flags;
}

auto running(Result<void> (*body)(const DeadLetterFlags&)) {
  return [body](const Arguments& arguments) -> int {
    const auto done = body(flags_from(arguments));
    return done ? kOk : failed(done.error());
  };
}

std::vector<Flag> with_source(std::vector<Flag> flags) {
  flags.push_back({"--from", "STREAM", "The dead-letter stream.", Kind::kStream, {}, "weir-dlq"});
  return joined(std::move(flags), ConnectionFlags::flags());
}

}  // namespace

CommandTable dead_letter_commands() {
  return {
      {.name = "dlq",
       .summary = "Messages that destinations refused for good: dead letters.",
       .more = "[What dead letters are](concepts.md#dead-letters)."},
      {.name = "dlq ls",
       .summary = "List dead letters.",
       .flags = with_source({output_flag("text, or json with one object a line.")}),
       .run = running(list)},
      {.name = "dlq show",
       .summary = "Show one dead letter as JSON.",
       .arguments = {{"NUMBER", "Its number, as ls shows it.", Kind::kNumber}},
       .flags = with_source({{"--payload", "", "Print the bare message instead."}}),
       .examples = {{"weir dlq show 3 --payload | jq ."}},
       .run = running(show)},
      {.name = "dlq replay",
       .summary = "Append dead letters to their streams again.",
       .description =
           "A letter is appended to the stream that it came from, or to another one. There it is "
           "a new message: all exports and readers of the stream get it, so those that had taken "
           "it get it twice; hence --yes. The letter stays where it is until the dead-letter "
           "stream overwrites it.\n\n"
           "Letters whose stream does not exist any more are gone past and counted; then the exit "
           "status is 1. When it ends early it says up to where it came and how to go on.",
       .arguments = {{"LETTERS", "Which, as ls shows them: 3, 3-7, or 3- for all from 3 on.",
                      Kind::kText, true, true}},
       .flags = with_source({{"--all", "", "All of them."},
                             {.names = "--only",
                              .value = "STREAM[/EXPORT]",
                              .text = "Of these, only letters of this stream or export.",
                              .kind = Kind::kStream},
                             {"--to", "STREAM", "To this stream instead.", Kind::kStream},
                             {"--yes", "", "Yes, messages may be sent a second time."}}),
       .examples = {{"weir dlq replay 3 4 --yes"},
                    {"weir dlq replay 420- --only telemetry/to-cloud --yes"},
                    {"weir dlq replay --all --to retry --yes"}},
       .run = [](const Arguments& arguments) -> int {
         const auto wanted = wanted_of(flags_from(arguments));
         if (!wanted) {
           complain(wanted.error().what);
           return kUsage;
         }
         return running(replay)(arguments);
       }}};
}

}  // namespace weir::cli
