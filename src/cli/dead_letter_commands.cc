#include "cli/dead_letter_commands.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <unistd.h>
#include <vector>

namespace weir::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kBatchMessages = 100;

struct DeadLetterFlags {
  ConnectionFlags connection;
  std::string from = "weir-dlq";
  std::string output = "text";
  std::vector<std::int64_t> numbers;
  std::string to;
  bool all = false;
  bool payload = false;
  bool yes = false;
};

Result<std::unique_ptr<Client>> connect(const DeadLetterFlags& flags, const Interrupt& interrupt) {
  WEIR_TRY(const Endpoint endpoint, flags.connection.endpoint());
  return Client::connect(endpoint, &interrupt);
}

// One letter with the message that holds it.
using Visit = std::function<Result<void>(const protocol::StoredMessage&, const DeadLetterView&)>;
// Told how many messages the stream holds, and how many of them are behind.
using Seen = std::function<void(std::int64_t total, std::int64_t done)>;

Result<void> show_to(const Visit& visit, const protocol::StoredMessage& message) {
  const auto letter = read_dead_letter(message.payload);
  if (letter) return visit(message, *letter);
  note(fmt::format("weir: message {} is no dead letter and is left out", message.sequence_number));
  return {};
}

// All that were there when it began.
Result<void> for_all(Client& client, const std::string& stream, const Visit& visit,
                     const Seen& seen = nullptr) {
  const std::string doing = "read stream " + log::escaped(stream);
  auto described = client.request(doing, protocol::DescribeRequest{{}, stream});
  if (!described) return fail(std::move(described).error());
  if (!described->info) return fail(Errc::kCorrupt, doing + ": the server did not describe it");
  const auto& storage = described->info->storage_status;
  std::int64_t next = storage.oldest_sequence_number;
  while (next <= storage.newest_sequence_number) {
    auto read =
        client.request(doing, protocol::ReadRequest{{}, stream, next, 1, kBatchMessages, 0});
    if (!read) return fail(std::move(read).error());
    if (read->messages.empty()) break;
    for (const auto& message : read->messages) {
      if (message.sequence_number > storage.newest_sequence_number) return {};
      WEIR_RETURN_IF_ERROR(show_to(visit, message));
      next = message.sequence_number + 1;
      if (seen) {
        seen(storage.newest_sequence_number - storage.oldest_sequence_number + 1,
             next - storage.oldest_sequence_number);
      }
    }
  }
  return {};
}

Result<void> for_one(Client& client, const std::string& stream, std::int64_t number,
                     const Visit& visit) {
  const std::string doing =
      fmt::format("read letter {} of stream {}", number, log::escaped(stream));
  auto read = client.request(doing, protocol::ReadRequest{{}, stream, number, 1, 1, 0});
  if (!read) return fail(std::move(read).error());
  if (read->messages.empty() || read->messages.front().sequence_number != number) {
    return fail(Errc::kNotFound, doing + ": it is not there any more");
  }
  const auto letter = read_dead_letter(read->messages.front().payload);
  if (!letter) return fail(Errc::kInvalidArgument, doing + ": it is no dead letter");
  return visit(read->messages.front(), *letter);
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
  Output out;
  std::int64_t count = 0;
  auto done = for_all(
      *client, flags.from,
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
  if (!done && done.error().code == Errc::kNotFound) {
    note(fmt::format("no dead letters: there is no stream {}", log::escaped(flags.from)));
    return {};
  }
  if (done && count == 0) note("no dead letters");
  return done;
}

Result<void> show(const DeadLetterFlags& flags) {
  const Interrupt interrupt;
  WEIR_TRY(const auto client, connect(flags, interrupt));
  return for_one(
      *client, flags.from, flags.numbers.front(),
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

// Appends the payload where it came from, or where it is wanted.
Result<void> append(Client& client, const std::string& stream,
                    const protocol::StoredMessage& message, const DeadLetterView& letter,
                    Output& out) {
  const std::string doing =
      fmt::format("append letter {} to stream {}", message.sequence_number, log::escaped(stream));
  auto response = client.request(doing, protocol::AppendRequest{{}, stream, letter.payload});
  if (!response) return fail(std::move(response).error());
  out.write(fmt::format("letter {} is message {} of stream {} now\n", message.sequence_number,
                        response->sequence_number, log::escaped(stream)));
  out.flush();
  return {};
}

Result<void> replay(const DeadLetterFlags& flags) {
  if (flags.all != flags.numbers.empty()) {
    return fail(Errc::kInvalidArgument, "name the letters to replay, or --all, not both");
  }
  if (!flags.yes) {
    return fail(Errc::kConflict,
                "a replayed message is appended to its stream again, so every export and reader "
                "of that stream gets it a second time, and a letter stays in the dead-letter "
                "stream; nothing was done, add --yes to do it (--to names another stream)");
  }
  const Interrupt interrupt;
  WEIR_TRY(const auto client, connect(flags, interrupt));
  Output out;
  const Visit visit = [&](const protocol::StoredMessage& message, const DeadLetterView& letter) {
    return append(*client, flags.to.empty() ? letter.stream : flags.to, message, letter, out);
  };
  if (flags.all) {
    std::optional<Progress> progress;
    return for_all(*client, flags.from, visit, [&](std::int64_t total, std::int64_t done) {
      if (!progress) {
        progress.emplace("replaying", total, Progress::Unit::kMessages, STDERR_FILENO, out.fd());
      }
      progress->at(done);
    });
  }
  for (const std::int64_t number : flags.numbers) {
    WEIR_RETURN_IF_ERROR(for_one(*client, flags.from, number, visit));
  }
  return {};
}

std::string text_in(const ordered_json& head, const char* name) {
  const auto found = head.find(name);
  return found != head.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_in(const ordered_json& head, const char* name) {
  const auto found = head.find(name);
  return found != head.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

DeadLetterFlags flags_from(const Arguments& arguments) {
  DeadLetterFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  flags.from = arguments.text("--from");
  if (arguments.knows("--output")) flags.output = arguments.text("--output");
  if (arguments.knows("NUMBER")) flags.numbers = arguments.numbers("NUMBER");
  if (arguments.knows("--payload")) flags.payload = arguments.has("--payload");
  if (arguments.knows("--all")) {
    flags.all = arguments.has("--all");
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

std::optional<DeadLetterView> read_dead_letter(Bytes message) {
  const std::string_view text = as_text(message);
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return std::nullopt;
  const auto head = ordered_json::parse(text.substr(0, line), nullptr, false);
  if (!head.is_object() || number_in(head, "weirDeadLetter") != 1) return std::nullopt;
  DeadLetterView letter;
  letter.stream = text_in(head, "stream");
  letter.identifier = text_in(head, "export");
  letter.reason = text_in(head, "reason");
  letter.sequence_number = number_in(head, "sequenceNumber");
  letter.refused_ms = number_in(head, "refusedTime");
  letter.payload = message.subspan(line + 1);
  if (number_in(head, "payloadBytes") != static_cast<std::int64_t>(letter.payload.size())) {
    return std::nullopt;
  }
  return letter;
}

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
           "stream overwrites it.",
       .arguments = {{"NUMBER", "Which, as ls shows them.", Kind::kNumber, true, true}},
       .flags = with_source({{"--all", "", "All of them."},
                             {"--to", "STREAM", "To this stream instead.", Kind::kStream},
                             {"--yes", "", "Yes, messages may be sent a second time."}}),
       .examples = {{"weir dlq replay 3 4 --yes"}, {"weir dlq replay --all --to retry --yes"}},
       .run = running(replay)}};
}

}  // namespace weir::cli
