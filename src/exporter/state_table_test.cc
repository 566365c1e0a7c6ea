#include "exporter/exporter_bench.h"

#include <array>
#include <functional>
#include <gtest/gtest.h>

namespace weir::exporter {
namespace {

using namespace bench;
// Every state, and how to get there. Interval 60 s, batches of 10.
Bench in_state(State state) {
  Bench bench(state == State::kStopped ? disabled(with_interval(10, 60'000))
                                       : with_interval(10, 60'000));
  switch (state) {
    case State::kIdle:
      break;
    case State::kCollecting:
    case State::kStopped:
      bench.log(0, 5);
      break;
    case State::kReady:
      bench.log(0, 10);
      break;
    case State::kInFlight:
      bench.log(0, 10);
      bench.take();
      break;
    case State::kBackoff: {
      bench.log(0, 10);
      Outcome refused = Outcome::retry(FailureClass::kTransient, "connection refused");
      refused.connection_failed = true;
      bench.deliver(std::move(refused), 10);
      break;
    }
    case State::kBroken:
    case State::kServiceRetired:
      bench.log(0, 5);
      bench.exporter.destination_failed("no region", bench.now, state);
      break;
  }
  EXPECT_EQ(bench.exporter.state(), state);
  return bench;
}

struct Event {
  const char* name;
  std::function<void(Bench&)> happens;
  // The state afterwards, for Idle, Collecting, Ready, InFlight, Backoff, Stopped, Broken.
  std::array<State, 7> then;
};

TEST(ExporterTable, EveryEventInEveryState) {
  using S = State;
  const auto none = S::kIdle;
  const std::vector<Event> events = {
      {"one message became durable",
       [](Bench& b) { b.log(0, 11); },
       {S::kReady, S::kReady, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"a few became durable",
       [](Bench& b) { b.log(0, 6); },
       {S::kCollecting, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped,
        S::kBroken}},
      {"nothing new",
       [](Bench& b) { b.log(0, 0); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"retention removed all that waits",
       [](Bench& b) { b.log(10, 10); },
       {S::kIdle, S::kIdle, S::kIdle, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"a minute passed",
       [](Bench& b) { b.pass(60s); },
       {S::kIdle, S::kReady, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      {"a moment passed",
       [](Bench& b) { b.pass(1ms); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"the same definition again",
       [](Bench& b) { b.exporter.redefine(b.exporter.config(), b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"it was disabled",
       [](Bench& b) { b.exporter.redefine(disabled(b.exporter.config()), b.now); },
       {S::kStopped, S::kStopped, S::kStopped, S::kInFlight, S::kStopped, S::kStopped,
        S::kStopped}},
      {"it was enabled",
       [](Bench& b) { b.exporter.redefine(with_interval(10, 60'000), b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kCollecting,
        S::kBroken}},
      {"its interval was taken away",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.batch_interval_ms.reset();
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kReady, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      {"its start was set to 4",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.start_sequence_number = 4;
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kCollecting, S::kCollecting, S::kInFlight, S::kCollecting, S::kStopped,
        S::kBroken}},
      {"its destination was changed",
       [](Bench& b) {
         auto definition = b.exporter.config();
         definition.target = "elsewhere";
         b.exporter.redefine(definition, b.now);
       },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      {"its destination cannot be made",
       [](Bench& b) { b.exporter.destination_failed("why", b.now); },
       {S::kBroken, S::kBroken, S::kBroken, S::kInFlight, S::kBroken, S::kStopped, S::kBroken}},
      {"its destination was made",
       [](Bench& b) { b.exporter.destination_made({}, b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped,
        S::kCollecting}},
      {"its host works for others",
       [](Bench& b) { b.exporter.host_works(b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kReady, S::kStopped, S::kBroken}},
      {"keys work for others",
       [](Bench& b) { b.exporter.keys_work(b.now); },
       {S::kIdle, S::kCollecting, S::kReady, S::kInFlight, S::kBackoff, S::kStopped, S::kBroken}},
      // The following happen only while a delivery is under way.
      {"all delivered",
       [](Bench& b) { b.finish(b.answer(Outcome::delivered(), 10)); },
       {none, none, none, S::kIdle, none, none, none}},
      {"some delivered",
       [](Bench& b) { b.finish(b.answer(Outcome::delivered(), 3)); },
       {none, none, none, S::kCollecting, none, none, none}},
      {"all rejected",
       [](Bench& b) { b.finish(b.answer(Outcome::rejected("bad"), 10)); },
       {none, none, none, S::kIdle, none, none, none}},
      {"all to be retried",
       [](Bench& b) { b.finish(b.answer(Outcome::retry(FailureClass::kThrottle, "slow"), 10)); },
       {none, none, none, S::kBackoff, none, none, none}},
      {"part to be retried",
       [](Bench& b) {
         b.finish(b.answer(mixed({kYes, kAgain, kNever}), 3));
       },
       {none, none, none, S::kBackoff, none, none, none}},
      {"the log could not be read",
       [](Bench& b) {
         Delivery d = b.answer(Outcome::retry(FailureClass::kTransient, "read the stream"), 0);
         d.kind = Delivery::Kind::kReadFailed;
         b.finish(d);
       },
       {none, none, none, S::kBackoff, none, none, none}},
      {"interrupted",
       [](Bench& b) {
         Delivery d = b.answer({}, 0);
         d.kind = Delivery::Kind::kInterrupted;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
      {"more memory needed",
       [](Bench& b) {
         Delivery d = b.answer({}, 0);
         d.kind = Delivery::Kind::kNeedsBytes;
         d.bytes_needed = 1 << 30;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
      {"an answer to an older definition",
       [](Bench& b) {
         Delivery d = b.answer(Outcome::delivered(), 10);
         --d.generation;
         b.finish(d);
       },
       {none, none, none, S::kReady, none, none, none}},
  };
  constexpr std::array kAll = {State::kIdle,    State::kCollecting, State::kReady, State::kInFlight,
                               State::kBackoff, State::kStopped,    State::kBroken};
  const std::size_t only_in_flight_from = 16;
  int checked = 0;
  for (std::size_t e = 0; e < events.size(); ++e) {
    for (std::size_t s = 0; s < kAll.size(); ++s) {
      if (e >= only_in_flight_from && kAll[s] != State::kInFlight) continue;
      Bench bench = in_state(kAll[s]);
      const SequenceNumber before = bench.exporter.next();
      events[e].happens(bench);
      EXPECT_STREQ(state_name(bench.exporter.state()), state_name(events[e].then[s]))
          << events[e].name << " while " << state_name(kAll[s]);
      EXPECT_GE(bench.exporter.next(), before) << events[e].name;
      EXPECT_EQ(bench.exporter.ready_since().has_value(), bench.exporter.state() == State::kReady);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 16 * 7 + 9);
}

TEST(StateTable, AServiceThatHasEndedIsAStateOfItsOwnUntilItsDestinationCanBeMade) {
  Bench bench = in_state(State::kServiceRetired);
  EXPECT_STREQ(state_name(bench.exporter.state()), "service_retired");
  bench.exporter.destination_made({}, bench.now);
  EXPECT_NE(bench.exporter.state(), State::kServiceRetired);
  bench.exporter.destination_failed("no region", bench.now);
  EXPECT_EQ(bench.exporter.state(), State::kBroken);
}

}  // namespace
}  // namespace weir::exporter
