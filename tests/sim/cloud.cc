#include "cloud.h"

#include <algorithm>

namespace weir::sim {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;

void Cloud::place(std::int64_t start) {
  start_ = checked_ = start;
  accepted_.clear();
  lost_answers_.clear();
  refused_.clear();
  kills_ = 0;
}

bool Cloud::done(std::int64_t number) const {
  return accepted_.contains(number) || refused_.contains(number) || !log_->holds(number);
}

// O3: a message arrives only when all before it are done or arrive before it in the same batch.
void Cloud::check_arrival(const exporter::Batch& batch) {
  while (checked_ < log_->visible_end().value() && done(checked_)) ++checked_;
  std::int64_t expected = checked_;
  for (const auto& message : batch.messages()) {
    const std::int64_t number = message.sequence.value();
    for (; expected < number; ++expected) {
      if (!done(expected)) {
        violate("message " + std::to_string(number) + " arrived before " +
                std::to_string(expected));
        return;
      }
    }
    if (number >= expected) expected = number + 1;
    if (number < start_) violate("message " + std::to_string(number) + " lies before the start");
    if (message.sequence >= log_->durable_end()) {
      violate("message " + std::to_string(number) + " was sent before it was durable");
    }
    if (as_text(message.payload) != log_->payload(number)) {
      violate("message " + std::to_string(number) + " arrived damaged");
    }
  }
}

// E5: once more for each answer that got lost and each time the process was killed.
void Cloud::accept(std::int64_t number, bool answer_lost) {
  const int times = ++accepted_[number];
  ++taken_;
  if (times > 1 + lost_answers_[number] + kills_) {
    violate("message " + std::to_string(number) + " was delivered " + std::to_string(times) +
            " times without a reason");
  }
  if (answer_lost) ++lost_answers_[number];
}

Outcome Cloud::take(const exporter::Batch& batch) {
  check_arrival(batch);
  Weather weather = weather_;
  if (weather == Weather::kMixed) weather = static_cast<Weather>(rng_.below(7));
  const auto each = [&](const auto& act) {
    for (const auto& message : batch.messages()) act(message.sequence.value());
  };
  switch (weather) {
    case Weather::kUnreachable: {
      auto outcome = Outcome::retry(FailureClass::kTransient, "connection refused");
      outcome.connection_failed = true;
      if (sabotage_ == Sabotage::kTakesNothing) return Outcome::delivered();
      return outcome;
    }
    case Weather::kThrottling: {
      auto outcome = Outcome::retry(FailureClass::kThrottle, "slow down");
      if (rng_.chance(0.5)) outcome.retry_after = std::chrono::seconds(rng_.below(1000));
      return outcome;
    }
    case Weather::kDenied:
      return Outcome::retry(FailureClass::kOperator, "AccessDenied");
    case Weather::kGarbled: {
      each([&](std::int64_t number) { accept(number, true); });
      Outcome outcome;
      outcome.records.resize(batch.size() + 1 + rng_.below(3));
      for (auto& record : outcome.records) record.verdict = Verdict::kDelivered;
      return outcome;
    }
    case Weather::kLosesAnswers:
      each([&](std::int64_t number) {
        if (!poison(number)) accept(number, true);
      });
      return Outcome::retry(FailureClass::kTransient, "the answer was cut off");
    case Weather::kFine:
    case Weather::kPartial:
    case Weather::kMixed:
      break;
  }
  Outcome outcome;
  outcome.verdict = Verdict::kRetry;
  each([&](std::int64_t number) {
    if (poison(number)) {
      refused_.insert(number);
      outcome.records.push_back({Verdict::kRejected, FailureClass::kPoison, "too large"});
    } else if (weather == Weather::kPartial && rng_.chance(0.4)) {
      outcome.records.push_back({Verdict::kRetry, FailureClass::kThrottle, "shard is busy"});
    } else {
      accept(number, false);
      outcome.records.push_back({Verdict::kDelivered, FailureClass::kNone, ""});
    }
  });
  const bool all_taken =
      std::all_of(outcome.records.begin(), outcome.records.end(),
                  [](const auto& record) { return record.verdict == Verdict::kDelivered; });
  return all_taken && rng_.chance(0.5) ? Outcome::delivered() : outcome;
}

void Cloud::check_position(std::int64_t position) {
  for (std::int64_t n = checked_; n < position; ++n) {
    if (!done(n)) {
      violate("the position is " + std::to_string(position) + " but message " + std::to_string(n) +
              " was neither delivered nor dropped");
      return;
    }
  }
  checked_ = std::max(checked_, position);
}

std::int64_t Cloud::unaccounted(std::int64_t position) const {
  std::int64_t count = 0;
  for (std::int64_t n = start_; n < position; ++n) {
    if (!accepted_.contains(n) && !refused_.contains(n)) ++count;
  }
  return count;
}

std::int64_t Cloud::damaged(std::int64_t position) const {
  std::int64_t count = 0;
  for (std::int64_t n = start_; n < position; ++n) {
    if (!accepted_.contains(n) && !refused_.contains(n) && log_->damaged(n)) ++count;
  }
  return count;
}

}  // namespace weir::sim
