#include "cli/pub.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <memory>
#include <poll.h>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr std::size_t kUnsentBytesMax = 4 * 1024 * 1024;
constexpr Duration kLastAnswers = std::chrono::seconds(3);  // after Ctrl-C

}  // namespace

bool Publisher::may_send() const {
  return !ended_ && unanswered() < options_.window && client_.unsent_bytes() < kUnsentBytesMax;
}

Result<void> Publisher::send_what_may_go() {
  need_input_ = false;
  while (may_send()) {
    if (options_.rate > 0) {
      const std::chrono::duration<double> due(static_cast<double>(counts_.sent) / options_.rate);
      if (SystemClock().now() - started_ < due) return {};
    }
    WEIR_TRY(const auto next, source_.next(message_));
    if (next == MessageSource::Next::kNeedInput) {
      need_input_ = true;
      return {};
    }
    if (next == MessageSource::Next::kEnd) {
      ended_ = true;
      return {};
    }
    const std::uint64_t ticket =
        client_.send(protocol::AppendRequest{{}, options_.stream, as_bytes(message_)});
    if (counts_.sent == 0) first_ticket_ = ticket;
    counts_.sent_bytes += static_cast<std::int64_t>(message_.size());
    ++counts_.sent;
  }
  return {};
}

Result<void> Publisher::take_answers() {
  for (;;) {
    WEIR_TRY(auto answer, client_.next());
    if (!answer) return {};
    const protocol::Response& response = answer->response;
    if (response.status == protocol::Status::kSuccess) {
      ++counts_.stored;
      if (options_.print_sequence) out_.write(std::to_string(response.sequence_number) + "\n");
      continue;
    }
    if (counts_.refused++ == 0) {
      counts_.first_refused = static_cast<std::int64_t>(answer->ticket - first_ticket_) + 1;
      counts_.first_refusal = fmt::format("{} ({})", log::escaped(response.error_message, 1024),
                                          protocol::status_name(response.status));
    }
    if (response.status == protocol::Status::kResourceNotFound) {
      return fail(Errc::kNotFound,
                  fmt::format("publish to {}: there is no such stream; create it with 'weir stream "
                              "create', or add --create",
                              log::escaped(options_.stream)));
    }
  }
}

/// Until something can be read, sent or answered, or the next message is due.
Result<void> Publisher::wait() {
  const bool sending = may_send();
  int timeout_ms = -1;
  if (sending && !need_input_ && options_.rate <= 0) {
    timeout_ms = 0;  // answers made room while the next message was there already
  } else if (sending && !need_input_) {
    const std::chrono::duration<double> due(static_cast<double>(counts_.sent) / options_.rate);
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(due - (SystemClock().now() - started_));
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }
  const bool interrupted = interrupt_.raised();
  if (interrupted) timeout_ms = 100;
  const auto events = static_cast<short>(POLLIN | (client_.wants_write() ? POLLOUT : 0));
  std::array<pollfd, 3> ready = {{{client_.fd(), events, 0},
                                  {interrupted ? -1 : interrupt_.fd(), POLLIN, 0},
                                  {sending && need_input_ ? source_.fd() : -1, POLLIN, 0}}};
  if (::poll(ready.data(), ready.size(), timeout_ms) < 0 && errno != EINTR) {
    return fail(os_error("wait for input", errno));
  }
  if (ready[2].revents != 0) return source_.fill();
  return {};
}

Result<void> Publisher::run() {
  started_ = SystemClock().now();
  for (;;) {
    if (interrupt_.raised() && !ended_) {
      ended_ = true;
      give_up_ = SystemClock().now() + kLastAnswers;
    }
    WEIR_RETURN_IF_ERROR(send_what_may_go());
    WEIR_RETURN_IF_ERROR(client_.exchange());
    WEIR_RETURN_IF_ERROR(take_answers());
    if (progress_ != nullptr) progress_->at(source_.position());
    if (options_.print_sequence && !out_.flush()) return {};
    if (ended_ && unanswered() == 0) return {};
    if (interrupt_.raised() && SystemClock().now() > give_up_) {
      return fail(Errc::kUnavailable, "interrupted before everything was answered");
    }
    WEIR_RETURN_IF_ERROR(wait());
  }
}

// ---- the command ----------------------------------------------------------------------------

namespace {

struct PubFlags {
  ConnectionFlags connection;
  Publisher::Options options;
  std::vector<std::string> files;
  std::string delimiter = "\\n";
  bool whole = false;
  bool json = false;
  bool create = false;
  bool quiet = false;
};

Result<void> create_if_missing(Client& client, const std::string& name) {
  model::StreamDefinition definition;
  definition.name = name;
  WEIR_TRY(const auto response, client.call(protocol::CreateRequest{{}, std::move(definition)}));
  if (response.status == protocol::Status::kSuccess ||
      response.error_message == protocol::kTextStreamExists) {
    return {};
  }
  return fail(Errc::kUnavailable, fmt::format("create stream {}: {}", log::escaped(name),
                                              log::escaped(response.error_message, 1024)));
}

std::string summary(const Publisher& publisher, const std::string& stream, std::int64_t empty,
                    Duration took) {
  const auto& counts = publisher.counts();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  std::string text = fmt::format("published {} to {} in {}", counted(counts.stored, "message"),
                                 log::escaped(stream), human_duration(ms));
  if (counts.refused == 0 && publisher.unanswered() == 0) {
    text += ", " + human_bytes(counts.sent_bytes);
  }
  if (empty > 0) text += fmt::format("; left out {}", counted(empty, "empty message"));
  return text;
}

int run_pub(const PubFlags& flags) {
  const auto delimiter = parse_escapes(flags.delimiter);
  if (!delimiter || (delimiter->empty() && !flags.whole)) {
    complain("--delimiter: write some text, with \\n, \\t, \\0 or \\x1e for what cannot be typed");
    return kUsage;
  }
  const Interrupt interrupt;
  const auto endpoint = flags.connection.endpoint();
  if (!endpoint) return failed(endpoint.error());
  const auto client = Client::connect(*endpoint, &interrupt);
  if (!client) return failed(client.error());
  if (flags.create) {
    if (const auto done = create_if_missing(**client, flags.options.stream); !done) {
      return failed(done.error());
    }
  }
  MessageSource source = flags.json ? MessageSource::json_lines(STDIN_FILENO)
                         : flags.files.empty()
                             ? MessageSource::input(STDIN_FILENO, flags.whole ? "" : *delimiter)
                             : MessageSource::files(flags.files);
  Output out;
  Publisher publisher(flags.options, **client, source, interrupt, out);
  // Only where the end is known: lines that somebody types are no long work.
  Progress progress("publishing", source.total(),
                    source.counts_files() ? Progress::Unit::kFiles : Progress::Unit::kBytes,
                    STDERR_FILENO, flags.options.print_sequence ? STDOUT_FILENO : -1);
  if (!flags.quiet && source.total()) publisher.set_progress(&progress);
  const Instant begin = SystemClock().now();
  const auto done = publisher.run();
  progress.clear();
  out.flush();
  if (!done && publisher.counts().sent == 0) return failed(done.error());
  if (!flags.quiet && publisher.counts().stored > 0) {
    note(summary(publisher, flags.options.stream, source.empty_count(),
                 SystemClock().now() - begin));
  }
  if (!done) {
    if (publisher.unanswered() > 0 && done.error().code != Errc::kNotFound) {
      note(counted(publisher.unanswered(), "message") +
           " sent without an answer; they may or may not be stored");
    }
    return failed(done.error());
  }
  const auto& counts = publisher.counts();
  if (counts.refused == 0) return kOk;
  complain(fmt::format("{} of {} refused; the first, message {}: {}", grouped(counts.refused),
                       counted(counts.sent, "message"), counts.first_refused,
                       counts.first_refusal));
  return kFailed;
}

int run(const Arguments& arguments) {
  PubFlags flags;
  flags.connection = ConnectionFlags::from(arguments);
  flags.options.stream = arguments.text("STREAM");
  flags.options.rate = arguments.decimal("--rate");
  flags.options.window = arguments.number("--window");
  flags.options.print_sequence = arguments.has("--print-sequence");
  flags.files = arguments.all("--file");
  flags.delimiter = arguments.text("--delimiter");
  flags.whole = arguments.has("--whole");
  flags.json = arguments.has("--json");
  flags.create = arguments.has("--create");
  flags.quiet = arguments.has("--quiet");
  return run_pub(flags);
}

}  // namespace

Command pub_command() {
  return {
      .name = "pub",
      .summary = "Publish messages to a stream: each line of standard input is one.",
      .arguments = {{"STREAM", "Name of the stream.", Kind::kStream}},
      .flags = joined(
          {{.names = "-f,--file",
            .value = "FILE",
            .text = "Publish each of these files as one message instead.",
            .kind = Kind::kFile,
            .many = true,
            .excludes = "--whole --delimiter"},
           {.names = "--whole",
            .text = "Publish all of standard input as one message.",
            .excludes = "--delimiter"},
           {.names = "-d,--delimiter",
            .value = "TEXT",
            .text = "What separates messages; \\n, \\t, \\0 and \\xHH are known.",
            .fallback = "\\n"},
           {.names = "--json",
            .text = "Each line of standard input is a message as sub --json or fsck --salvage "
                    "writes it; its payload is published.",
            .excludes = "--file --whole --delimiter"},
           {"--rate", "N", "Messages a second, at most.", Kind::kDecimal},
           {"--window", "N", "Messages in flight, at most.", Kind::kNumber, {}, "1000", 1, 100'000},
           {"--create", "", "Create the stream if there is none."},
           {"-v,--print-sequence", "", "Print the sequence number that each message got."},
           {"-q,--quiet", "", "No summary on standard error."}},
          ConnectionFlags::flags()),
      .examples = {{"journalctl -f -o json | weir pub journal --create"},
                   {"weir pub pictures --file *.jpg"},
                   {"seq 1000 | weir pub numbers --rate 10 -v"},
                   {"weir pub telemetry --json < saved/7.jsonl", "what fsck --salvage saved"}},
      .exits = {{kOk, "every message was stored"}, {kFailed, "some were refused or not answered"}},
      .run = run};
}

}  // namespace weir::cli
