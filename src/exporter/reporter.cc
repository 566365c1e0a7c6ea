#include "exporter/reporter.h"

#include "base/log.h"
#include "exporter/metrics.h"

#include <chrono>

namespace weir::exporter {
namespace {

using Result = Exporter::Result;

const char* result_label(const Exporter::Settled& settled) {
  switch (settled.result) {
    case Result::kSucceeded:
      return "delivered";
    case Result::kPartial:
      return "partial";
    case Result::kFailed:
      return failure_class_name(settled.failure);
    case Result::kNothing:
      return "nothing";
    case Result::kNeedsBytes:
      return "needs_memory";
    case Result::kInterrupted:
      return "interrupted";
    case Result::kSuperseded:
      return "superseded";
  }
  return "unknown";
}

std::uint64_t amount(std::int64_t n) { return n > 0 ? static_cast<std::uint64_t>(n) : 0; }

log::Level failure_level(FailureClass failure) {
  const bool person = failure == FailureClass::kOperator || failure == FailureClass::kBug ||
                      failure == FailureClass::kCredentials || failure == FailureClass::kClock;
  return person ? log::Level::kError : log::Level::kWarn;
}

}  // namespace

void Reporter::settled(const std::string& stream, const Exporter& exporter,
                       const Exporter::Settled& settled) {
  const char* type = model::export_type_name(exporter.config().type);
  const std::string& destination = exporter.config().identifier;
  metrics_.counter(metric::kAttempts, {type, result_label(settled)}).add();
  if (settled.delivered_messages > 0) {
    metrics_.counter(metric::kDeliveredMessages, {type}).add(amount(settled.delivered_messages));
    metrics_.counter(metric::kDeliveredBytes, {type}).add(amount(settled.delivered_bytes));
  }
  if (settled.missing_numbers > 0) {
    metrics_.counter(metric::kMissingNumbers, {type}).add(amount(settled.missing_numbers));
    log::info(
        "An export passed sequence numbers under which the stream holds no message.",
        {{"stream", stream}, {"destination", destination}, {"numbers", settled.missing_numbers}});
  }
  if (settled.rejected_messages > 0) {
    const std::int64_t dropped = settled.rejected_messages - settled.set_aside_messages;
    metrics_.counter(metric::kSkippedMessages, {type, failure_class_name(settled.rejection)})
        .add(amount(dropped));
    metrics_.counter(metric::kDeadLetters, {type}).add(amount(settled.set_aside_messages));
    log::error("The destination refused messages for good; they are skipped.",
               {{"stream", stream},
                {"destination", destination},
                {"messages", settled.rejected_messages},
                {"kept_as_dead_letters", settled.set_aside_messages},
                {"first_sequence_number", settled.first_rejected.value()},
                {"error", settled.rejection_reason}});
  }
  overtaken(stream, exporter, settled.lost_messages);
  if (settled.result == Result::kFailed || settled.result == Result::kPartial) {
    log::write(
        failure_level(settled.failure), "Export failed, will retry.",
        {{"stream", stream},
         {"destination", destination},
         {"type", type},
         {"class", failure_class_name(settled.failure)},
         {"attempt", exporter.consecutive_failures()},
         {"wait_ms", std::chrono::duration_cast<std::chrono::milliseconds>(settled.wait).count()},
         {"error", exporter.status().error_message}});
  } else if (settled.after_failures) {
    log::info("The export works again.", {{"stream", stream}, {"destination", destination}});
  }
}

void Reporter::overtaken(const std::string& stream, const Exporter& exporter,
                         std::int64_t messages) {
  if (messages <= 0) return;
  const char* type = model::export_type_name(exporter.config().type);
  metrics_.counter(metric::kLostMessages, {type, "retention"}).add(amount(messages));
  log::warn(
      "The stream removed messages before they were exported; the export goes on at the oldest.",
      {{"stream", stream},
       {"destination", exporter.config().identifier},
       {"messages", messages},
       {"next", exporter.next().value()}});
}

void Reporter::broken(const std::string& stream, const Exporter& exporter) {
  log::error("The export cannot run until its configuration is corrected.",
             {{"stream", stream},
              {"destination", exporter.config().identifier},
              {"type", model::export_type_name(exporter.config().type)},
              {"error", exporter.broken()}});
}

void Reporter::started(const std::string& stream, const Exporter& exporter,
                       bool from_saved_position, bool position_expected) {
  if (!from_saved_position && position_expected) {
    log::info("No saved position of the export was found; it starts over (duplicates, no gaps).",
              {{"stream", stream},
               {"destination", exporter.config().identifier},
               {"next", exporter.next().value()}});
    return;
  }
  log::debug("Export started.", {{"stream", stream},
                                 {"destination", exporter.config().identifier},
                                 {"next", exporter.next().value()}});
}

void Reporter::repositioned(const std::string& stream, const Exporter& exporter,
                            SequenceNumber from) {
  log::info("The export was repositioned by its definition.",
            {{"stream", stream},
             {"destination", exporter.config().identifier},
             {"from", from.value()},
             {"next", exporter.next().value()}});
}

void Reporter::paused(const std::string& stream, const Exporter& exporter) {
  log::info("An export was paused by hand; it sends nothing until it is resumed.",
            {{"stream", stream},
             {"destination", exporter.config().identifier},
             {"next", exporter.next().value()}});
}

void Reporter::resumed(const std::string& stream, const Exporter& exporter) {
  log::info("An export was resumed by hand.", {{"stream", stream},
                                               {"destination", exporter.config().identifier},
                                               {"next", exporter.next().value()}});
}

void Reporter::moved(const std::string& stream, const Exporter& exporter, SequenceNumber from,
                     std::int64_t passed) {
  const char* type = model::export_type_name(exporter.config().type);
  metrics_.counter(metric::kLostMessages, {type, "moved"}).add(amount(passed));
  log::warn("The position of an export was moved by hand.",
            {{"stream", stream},
             {"destination", exporter.config().identifier},
             {"from", from.value()},
             {"next", exporter.next().value()},
             {"messages_not_sent", passed}});
}

void Reporter::removed(const std::string& stream, const std::string& identifier) {
  log::info("Export removed, its position with it.",
            {{"stream", stream}, {"destination", identifier}});
}

void Reporter::cursor_saved(const std::string& stream, const std::string& identifier,
                            const weir::Result<void>& outcome) {
  metrics_.counter(metric::kCursorSaves, {outcome ? "ok" : "failed"}).add();
  if (outcome || outcome.error().code == Errc::kNotFound) return;
  log::warn("The position of the export could not be saved; after a restart it repeats messages.",
            {{"stream", stream}, {"destination", identifier}, {"error", outcome.error().what}});
}

void Reporter::under_way(std::size_t deliveries, std::int64_t reserved_bytes) {
  metrics_.gauge(metric::kBusyWorkers).set(static_cast<std::int64_t>(deliveries));
  metrics_.gauge(metric::kBatchBytes).set(reserved_bytes);
}

}  // namespace weir::exporter
