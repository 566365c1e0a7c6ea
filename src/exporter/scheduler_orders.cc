// What people ask of exports: pause, resume, move, retry now.

#include "exporter/scheduler.h"
#include "exporter/scheduler_state.h"

#include <algorithm>
#include <string>
#include <utility>

namespace weir::exporter {

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
    done(fail(Errc::kNotFound, "the stream has no such export"));
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
  const SequenceNumber oldest = stream.log->oldest();
  const SequenceNumber end = stream.log->durable_end();
  const SequenceNumber from = item.machine.next();
  const auto number = [](SequenceNumber n) { return std::to_string(n.value()); };
  if (order.to < oldest || order.to > end) {
    return fail(
        Errc::kInvalidArgument,
        "message " + number(order.to) + " is no place to go on at: " +
            (oldest == end ? "the stream is empty"
                           : "the stream holds " + number(oldest) + " to " + number(end - 1)) +
            ", and " + number(end) + " is the end");
  }
  if (order.to == from && !item.machine.resending()) {
    return "it stands at message " + number(from) + " already";
  }
  if (!order.confirmed) {
    return fail(Errc::kConflict,
                order.to <= from
                    ? "it may send messages again that it has sent, from " + number(order.to) +
                          " on, " + std::to_string(from - order.to) + " or more"
                    : "it would never send the " + std::to_string(order.to - from) +
                          " messages from " + number(from) + " to " + number(order.to - 1));
  }
  if (item.job != 0) running_.at(item.job).stop.request_stop();
  item.machine.move_to(order.to, environment_.clock.now());
  item.moved_revision = item.machine.revision();
  environment_.reporter.moved(stream.name, item.machine, from);
  changed_by_hand(stream, item);
  return "goes on at message " + number(order.to) + "; it stood at " + number(from) +
         (item.machine.paused() ? "; it is paused" : "");
}

Result<std::string> Scheduler::retry_now(StreamState& stream, Export& item) {
  if (item.machine.paused()) {
    return fail(Errc::kUnavailable, "it is paused; resume it instead");
  }
  const State before = item.machine.state();
  if (before == State::kBackoff) {
    item.machine.retry_now(environment_.clock.now());
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
