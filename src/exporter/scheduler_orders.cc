// What people ask of exports: pause, resume, move, retry now.

#include "exporter/scheduler.h"
#include "exporter/scheduler_state.h"

#include <algorithm>
#include <string>
#include <utility>

namespace weir::exporter {
namespace {

std::string text_of(SequenceNumber number) { return std::to_string(number.value()); }

/// Why an export cannot go on at `to`.
Error no_place(SequenceNumber to, const stream::LogReader& log) {
  const SequenceNumber oldest = log.oldest();
  const SequenceNumber end = log.visible_end();
  if (to > log.durable_end() && to <= end) {
    return {Errc::kInvalidArgument,
            "message " + text_of(to) +
                " is no place to go on at yet: only what is before message " +
                text_of(log.durable_end()) +
                " is on stable storage so far; the rest follows within store.sync_interval_ms, so "
                "ask again then, or go on at the end"};
  }
  return {Errc::kInvalidArgument,
          "message " + text_of(to) + " is no place to go on at: " +
              (oldest == end ? "the stream is empty"
                             : "the stream holds " + text_of(oldest) + " to " + text_of(end - 1)) +
              ", and " + text_of(end) + " is the end"};
}

/// The message that an order to move names.
Result<SequenceNumber> place_of(const Order& order, const stream::LogReader& log) {
  const SequenceNumber oldest = log.oldest();
  const SequenceNumber visible = log.visible_end();
  const SequenceNumber end = log.durable_end();
  switch (order.place) {
    case Order::Place::kStart:
      return oldest;
    case Order::Place::kBeforeEnd:
      return std::min(end, visible - std::min(order.to.value(), visible - oldest));
    case Order::Place::kNumberOrEnd:
      if (order.to > end && order.to <= visible) return end;
      break;
    case Order::Place::kNumber:
      break;
  }
  if (order.to < oldest || order.to > end) return fail(no_place(order.to, log));
  return order.to;
}

}  // namespace

void Scheduler::give_order(StreamId id, const std::string& identifier, const Order& order,
                           std::function<void(const Result<std::string>&)> done) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) {
    done(fail(Errc::kNotFound, "the stream does not exist any more"));
    return;
  }
  StreamState& stream = *found->second;
  if (stream.loading) {
    done(fail(Errc::kUnavailable, "the export is starting; ask again in a moment"));
    return;
  }
  const auto serial =
      std::find_if(stream.serials.begin(), stream.serials.end(), [&](std::uint64_t candidate) {
        return exports_.at(candidate)->machine.config().identifier == identifier;
      });
  if (serial == stream.serials.end()) {
    done(fail(Errc::kNotFound, "the stream has no such export; " + names_of(stream)));
    return;
  }
  auto words = carry_out(stream, *exports_.at(*serial), order);
  if (!words) {
    done(words);
    return;
  }
  stream.settling.wait([done = std::move(done), words](const Result<void>& stored) {
    done(stored ? words
                : Result<std::string>(fail(with_context(
                      "done, but not everything is stored yet, so that a crash may undo it",
                      stored.error()))));
  });
}

std::string Scheduler::names_of(const StreamState& stream) const {
  constexpr std::size_t kNamesMax = 20;
  if (stream.serials.empty()) return "it has none";
  std::string names;
  std::size_t count = 0;
  for (const std::uint64_t serial : stream.serials) {
    if (++count > kNamesMax) return names + " and others";
    names += (names.empty() ? "it has " : ", ") + exports_.at(serial)->machine.config().identifier;
  }
  return names;
}

Result<std::string> Scheduler::carry_out(StreamState& stream, Export& item, const Order& order) {
  switch (order.kind) {
    case Order::Kind::kPause:
      return pause(stream, item);
    case Order::Kind::kResume:
      return resume(stream, item);
    case Order::Kind::kMove:
      return move(stream, item, order);
    case Order::Kind::kRetryNow:
      return retry_now(stream, item);
  }
  return fail(Errc::kUnsupported, "there is no such order");
}

void Scheduler::changed_by_hand(StreamState& stream, Export& item) {
  item.save_soon = true;
  look(stream, item);
  stream.settling.moved(item.serial, item.machine.revision());
}

Result<std::string> Scheduler::pause(StreamState& stream, Export& item) {
  if (item.machine.paused()) return std::string("it is paused already");
  if (!item.machine.worth_saving()) {
    return fail(Errc::kUnavailable,
                "it has nothing to send before message " +
                    std::to_string(item.machine.next().value()) +
                    " exists, and cannot be paused before; its definition can disable it");
  }
  item.machine.pause(environment_.clock.now());
  environment_.reporter.paused(stream.name, item.machine);
  changed_by_hand(stream, item);
  return "paused; it goes on with message " + std::to_string(item.machine.next().value()) +
         " when it is resumed";
}

Result<std::string> Scheduler::resume(StreamState& stream, Export& item) {
  if (!item.machine.paused()) return std::string("it is not paused");
  item.machine.resume(environment_.clock.now());
  environment_.reporter.resumed(stream.name, item.machine);
  changed_by_hand(stream, item);
  const bool disabled = item.machine.config().disabled.value_or(false);
  return "resumed at message " + std::to_string(item.machine.next().value()) +
         (disabled ? ", but its definition disables it" : "");
}

Result<std::string> Scheduler::move(StreamState& stream, Export& item, const Order& order) {
  look(stream, item);
  WEIR_TRY(const SequenceNumber to, place_of(order, *stream.log));
  const SequenceNumber from = item.machine.next();
  const bool failing = item.machine.consecutive_failures() > 0;
  if (to == from && !item.machine.resending() && !failing) {
    return "it stands at message " + text_of(from) + " already";
  }
  if (!order.confirmed) {
    return fail(Errc::kConflict,
                to == from ? "it would begin anew with message " + text_of(from) +
                                 " and those behind it, of which it may have sent some"
                : to < from ? "it may send messages again that it has sent, from " + text_of(to) +
                                  " on, " + std::to_string(from - to) + " or more"
                            : "it would never send the " + std::to_string(to - from) +
                                  " messages from " + text_of(from) + " to " + text_of(to - 1));
  }
  if (item.job != 0) running_.at(item.job).stop.request_stop();
  const std::int64_t not_sent = item.machine.move_to(to, environment_.clock.now());
  item.was_moved();
  item.passed = to > from;
  environment_.reporter.moved(stream.name, item.machine, from, not_sent);
  changed_by_hand(stream, item);
  return "goes on at message " + text_of(to) + "; it stood at " + text_of(from) +
         (item.machine.paused() ? "; it is paused" : "");
}

Result<std::string> Scheduler::retry_now(StreamState& stream, Export& item) {
  if (item.machine.paused()) {
    return fail(Errc::kUnavailable, "it is paused; resume it instead");
  }
  const State before = item.machine.state();
  if (before == State::kBackoff || before == State::kReady || before == State::kInFlight) {
    // A try that is under way may still take something for refused; then there is one behind it.
    item.machine.retry_now(environment_.clock.now());
    item.forgive_refusals = true;
  } else if (before == State::kBroken || before == State::kServiceRetired) {
    make_destination(stream, item);
  } else {
    return std::string("it does not wait after a failure: it is ") + state_name(before);
  }
  look(stream, item);
  if (!item.destination) {
    return fail(Errc::kUnavailable, "it still cannot run: " + item.machine.broken());
  }
  return std::string("it tries now");
}

}  // namespace weir::exporter
