#pragma once

#include "exporter/exporter.h"
#include "exporter/fakes.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

/// One export on a bench, for the tests of its state machine.
namespace weir::exporter::bench {

using namespace std::chrono_literals;
using fake::config;
using fake::seq;

inline constexpr Instant kStart{std::chrono::hours(1)};
inline constexpr std::int64_t kWallMs = 1'700'000'000'000;

inline std::vector<Delivery::Sent> messages(std::initializer_list<std::int64_t> numbers) {
  std::vector<Delivery::Sent> sent;
  for (const std::int64_t number : numbers) sent.push_back({seq(number), 10});
  return sent;
}

// One export and the worker that answers for it.
struct Bench {
  explicit Bench(model::ExportConfig definition = config("cloud"),
                 const std::optional<stream::Cursor>& saved = {})
      : exporter(std::move(definition), saved, {}, 1) {
    exporter.destination_made({}, now);
    exporter.log_moved(seq(0), seq(0), now);
  }

  std::int64_t log(std::int64_t oldest, std::int64_t end) {
    return exporter.log_moved(seq(oldest), seq(end), now);
  }
  void pass(Duration time) {
    now += time;
    exporter.tick(now);
  }
  Grant take() {
    grant = exporter.take(now);
    return grant;
  }
  // What a worker reports that found every message it was to send.
  [[nodiscard]] Delivery answer(Outcome outcome, std::int64_t count) const {
    Delivery delivery;
    delivery.generation = grant.generation;
    if (grant.only.empty()) {
      for (std::int64_t i = 0; i < count; ++i) delivery.sent.push_back({grant.from + i, 10});
      delivery.next = grant.from + count;
    } else {
      const auto fits =
          std::min<std::size_t>(grant.only.size(), static_cast<std::size_t>(grant.messages_max));
      for (std::size_t i = 0; i < fits; ++i) delivery.sent.push_back({grant.only[i], 10});
      delivery.next = grant.only[fits - 1] + 1;
    }
    delivery.outcome = std::move(outcome);
    return delivery;
  }
  Exporter::Settled finish(const Delivery& delivery) {
    return exporter.finish(delivery, now, kWallMs);
  }
  Exporter::Settled deliver(Outcome outcome, std::int64_t count) {
    take();
    return finish(answer(std::move(outcome), count));
  }

  Instant now = kStart;
  Grant grant;
  Exporter exporter;
};

inline Outcome mixed(std::initializer_list<Verdict> verdicts) {
  Outcome outcome;
  outcome.verdict = Verdict::kRetry;
  for (const Verdict verdict : verdicts) {
    outcome.records.push_back(
        {verdict,
         verdict == Verdict::kRetry      ? FailureClass::kThrottle
         : verdict == Verdict::kRejected ? FailureClass::kPoison
                                         : FailureClass::kNone,
         verdict == Verdict::kRetry || verdict == Verdict::kRejected ? "because" : ""});
  }
  return outcome;
}
inline constexpr auto kYes = Verdict::kDelivered;
inline constexpr auto kAgain = Verdict::kRetry;
inline constexpr auto kNever = Verdict::kRejected;
inline constexpr auto kLater = Verdict::kUntried;

inline model::ExportConfig with_interval(std::int64_t batch_size, std::int64_t interval_ms) {
  auto definition = config("cloud");
  definition.batch_size = batch_size;
  definition.batch_interval_ms = interval_ms;
  return definition;
}
inline model::ExportConfig disabled(model::ExportConfig definition = config("cloud")) {
  definition.disabled = true;
  return definition;
}

}  // namespace weir::exporter::bench
