#include "cli/sub.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr std::int64_t kBatchMessages = 1000;
constexpr std::int64_t kLongPollMs = 30'000;

}  // namespace

bool Subscriber::done() const {
  if (out_.closed() || (options_.count && counts_.printed >= *options_.count)) return true;
  return !options_.follow && next_ > last_wanted_;
}

std::int64_t Subscriber::expected() const {
  const std::int64_t there = std::max<std::int64_t>(0, last_wanted_ + 1 - next_);
  if (options_.follow) return options_.count.value_or(0);
  return std::min(there, options_.count.value_or(there));
}

void Subscriber::print(const protocol::StoredMessage& message) {
  if (done()) return;
  if (message.sequence_number > next_) {
    const std::int64_t gone = message.sequence_number - next_;
    counts_.gone += gone;
    out_.flush();
    note(
        fmt::format("weir: {} from number {} on no longer there: deleted to make room, or "
                    "expired, before they could be read",
                    counted(gone, "message"), next_));
  }
  next_ = message.sequence_number + 1;
  if (!options_.follow && message.sequence_number > last_wanted_) return;
  out_.write(format_.text_of(message));
  ++counts_.printed;
}

Result<void> Subscriber::read_on() {
  std::int64_t most = kBatchMessages;
  if (options_.count) most = std::min(most, *options_.count - counts_.printed);
  client_.send(protocol::ReadRequest{
      {}, options_.stream, next_, 1, most, options_.follow ? kLongPollMs : 0});
  WEIR_RETURN_IF_ERROR(client_.exchange());
  // While waiting for messages, notice when nobody reads our output any more.
  WEIR_TRY(const auto answer, client_.wait(Client::kAnswerTimeout, out_.fd()));
  const protocol::Response& response = answer.response;
  if (response.status == protocol::Status::kNotEnoughMessages) {
    // Without `follow`: the messages counted at the start have been deleted since.
    if (!options_.follow) next_ = last_wanted_ + 1;
    return {};
  }
  if (response.status != protocol::Status::kSuccess) {
    const bool missing = response.status == protocol::Status::kResourceNotFound;
    return fail(missing ? Errc::kNotFound : Errc::kUnavailable,
                fmt::format("read stream {}: {} ({})", log::escaped(options_.stream),
                            log::escaped(response.error_message, 1024),
                            protocol::status_name(response.status)));
  }
  for (const auto& message : response.messages) print(message);
  out_.flush();
  return {};
}

Result<void> Subscriber::run() {
  const std::string doing = "read stream " + log::escaped(options_.stream);
  auto described = client_.request(doing, protocol::DescribeRequest{{}, options_.stream});
  if (!described) return fail(std::move(described).error());
  if (!described->info) return fail(Errc::kCorrupt, doing + ": the server did not describe it");
  const auto& storage = described->info->storage_status;
  const std::int64_t oldest = storage.oldest_sequence_number;
  const std::int64_t newest = storage.newest_sequence_number;
  WEIR_TRY(next_, find_start(client_, options_.stream, options_.from, oldest, newest));
  last_wanted_ = newest;
  if (options_.from.kind == StartPosition::Kind::kSequence && next_ < oldest) {
    note(fmt::format("weir: the oldest message is number {}", oldest));
    next_ = oldest;
  }
  if (done() && !options_.follow && !options_.count.has_value() && newest >= oldest) {
    note("weir: nothing there yet from that position on; add --follow to wait for it");
  }
  // Messages on a screen show by themselves how far it is.
  Progress progress("reading " + log::escaped(options_.stream), expected(),
                    Progress::Unit::kMessages, STDERR_FILENO, out_.fd());
  while (!done()) {
    WEIR_RETURN_IF_ERROR(read_on());
    if (!options_.follow || options_.count) progress.at(counts_.printed);
  }
  return {};
}

// ---- the command ----------------------------------------------------------------------------

namespace {

struct SubFlags {
  ConnectionFlags connection;
  std::string stream;
  std::string from = "start";
  std::optional<std::int64_t> count;
  bool follow = false;
  std::string format = "%p";
  std::string delimiter = "\\n";
  bool json = false;
};

Result<MessageFormat> format_of(const SubFlags& flags) {
  if (flags.json) return MessageFormat::json_lines();
  auto delimiter = parse_escapes(flags.delimiter);
  if (!delimiter) {
    return fail(Errc::kInvalidArgument, "--delimiter: \\n, \\t, \\0 and \\xHH are known");
  }
  return MessageFormat::from_template(flags.format, *delimiter);
}

int run_sub(const SubFlags& flags) {
  const auto from = parse_start_position(flags.from);
  auto format = format_of(flags);
  if (!from) {
    complain(
        fmt::format("--from {}: write start, end, -N for the last N messages, a sequence "
                    "number, or a time such as 2026-11-20T09:00:00Z",
                    log::escaped(flags.from)));
    return kUsage;
  }
  if (!format) {
    complain(format.error().what);
    return kUsage;
  }
  const Interrupt interrupt;
  const auto endpoint = flags.connection.endpoint();
  if (!endpoint) return failed(endpoint.error());
  const auto client = Client::connect(*endpoint, &interrupt);
  if (!client) return failed(client.error());
  Output out;
  Subscriber subscriber({flags.stream, *from, flags.count, flags.follow}, **client,
                        std::move(*format), out);
  const auto done = subscriber.run();
  out.flush();
  if (done || done.error().code != Errc::kCancelled) return done ? kOk : failed(done.error());
  // Ended by the one who reads, or by Ctrl-C, which is how a --follow is meant to end.
  return interrupt.raised() && !flags.follow ? 130 : kOk;
}

int run(const Arguments& arguments) {
  SubFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  flags.stream = arguments.text("STREAM");
  flags.from = arguments.text("--from");
  flags.count = arguments.maybe_number("--count");
  flags.follow = arguments.has("--follow");
  flags.format = arguments.text("--format");
  flags.delimiter = arguments.text("--delimiter");
  flags.json = arguments.has("--json");
  return run_sub(flags);
}

}  // namespace

Command sub_command() {
  return {
      .name = "sub",
      .summary = "Print the messages of a stream, one a line.",
      .description =
          "Prints from the start to the newest message and ends; with --follow it waits for more.",
      .arguments = {{"STREAM", "Name of the stream.", Kind::kStream}},
      .flags = joined(
          {{"--from",
            "WHERE",
            "start, end, -N (the last N), a sequence number, or a time.",
            Kind::kText,
            {},
            "start"},
           {"-n,--count", "N", "Stop after so many messages.", Kind::kNumber, {}, "", 1},
           {"-f,--follow", "", "At the end, wait for more."},
           {"--format",
            "TEXT",
            "What to print of a message: %p payload, %s sequence number, %t time in milliseconds, "
            "%T time, %n stream, %b payload in base64, %l its length.",
            Kind::kText,
            {},
            "%p"},
           {"-d,--delimiter",
            "TEXT",
            "What follows each message; \\n, \\t, \\0 and \\xHH are known.",
            Kind::kText,
            {},
            "\\n"},
           {.names = "--json",
            .text = "Print one JSON object a line.",
            .excludes = "--format --delimiter"}},
          ConnectionFlags::flags()),
      .examples = {{"weir sub telemetry --from -10 --follow"},
                   {"weir sub telemetry --from 2026-11-20T09:00:00Z --format '%s %T %p'"},
                   {"weir sub orders | weir pub orders-copy --create"}},
      .run = run};
}

}  // namespace weir::cli
