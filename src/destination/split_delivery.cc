#include "destination/split_delivery.h"

#include "base/log.h"
#include "destination/metrics.h"

#include <algorithm>
#include <utility>

namespace weir::destination {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::RecordOutcome;
using exporter::Verdict;

// One bad record in 500 takes 18 calls to find; with many, the next delivery goes on.
constexpr int kCallsPerDeliveryMax = 128;

}  // namespace

AwsReply unbelievable(AwsReply reply, const Error& error) {
  reply.failure = FailureClass::kTransient;
  reply.error = log::escaped("HTTP " + std::to_string(reply.http.status) + ": " + error.what);
  return reply;
}

void add_results(CallResult& result, const Result<std::vector<FailedRecord>>& failed,
                 exporter::FailureClass (*class_of)(const FailedRecord&)) {
  if (!failed) {
    result.reply = unbelievable(std::move(result.reply), failed.error());
    return;
  }
  for (const FailedRecord& record : *failed) {
    result.failed.push_back({record.index,
                             {exporter::Verdict::kRetry, class_of(record),
                              log::escaped(record.code + ": " + record.message)}});
  }
}

SplitDelivery::SplitDelivery(const exporter::Batch& batch, std::string_view destination,
                             metrics::Registry& metrics, std::stop_token stop)
    : destination_(destination),
      metrics_(metrics),
      stop_(std::move(stop)),
      records_(batch.size()) {}

void SplitDelivery::reject(std::size_t message, const char* reason, std::string text) {
  records_[message] = {Verdict::kRejected, FailureClass::kPoison, std::move(text)};
  metrics_.counter(kRejectedMessagesTotal, {destination_, reason}).add();
}

void SplitDelivery::halt(AwsReply reply) {
  halted_ = true;
  last_ = std::move(reply);
}

void SplitDelivery::leave_rest() {
  AwsReply reply;
  reply.failure = FailureClass::kTransient;
  reply.error = "isolating refused records goes on with the next try";
  halt(std::move(reply));
  left_rest_ = true;
}

bool SplitDelivery::may_call() {
  if (stop_.stop_requested()) {
    AwsReply reply;
    reply.failure = FailureClass::kTransient;
    reply.error = "interrupted because weir or the export is stopping";
    halt(std::move(reply));
    return false;
  }
  if (calls_ >= kCallsPerDeliveryMax) {
    leave_rest();
    return false;
  }
  ++calls_;
  return true;
}

void SplitDelivery::push(std::span<const Unit> units) {
  if (!units.empty()) waiting_.emplace_back(units.begin(), units.end());
}

void SplitDelivery::run(Service& service, const std::vector<std::size_t>& order,
                        std::vector<Unit> units) {
  push(units);
  while (!waiting_.empty() && !halted_) {
    std::vector<Unit> next = std::move(waiting_.back());
    waiting_.pop_back();
    const std::size_t count = std::clamp<std::size_t>(service.fit(next), 1, next.size());
    push(std::span(next).subspan(count));
    next.resize(count);
    if (!may_call()) return;
    CallResult result = service.send(next, stop_);
    if (result.reply.failure == FailureClass::kNone) {
      take(next, std::move(result), order);
    } else if (result.reply.failure == FailureClass::kPoison) {
      isolate(next, result, order);
    } else {
      halt(std::move(result.reply));
    }
  }
}

void SplitDelivery::take(std::span<const Unit> sent, CallResult result,
                         const std::vector<std::size_t>& order) {
  const auto each = [&](const Unit& unit, const auto& act) {
    for (std::size_t i = unit.begin; i < unit.begin + unit.count; ++i) act(order[i]);
  };
  for (const Unit& unit : sent) {
    each(unit, [this](std::size_t i) { records_[i].verdict = Verdict::kDelivered; });
  }
  const RecordOutcome* first = nullptr;
  std::size_t to_retry = 0;
  std::vector<Unit> divided;
  for (const FailedUnit& failed : result.failed) {
    const Unit& unit = sent[failed.unit];
    if (failed.outcome.verdict == Verdict::kRejected && unit.count > 1) {
      each(unit, [this](std::size_t i) { records_[i] = {}; });
      divided.push_back({unit.begin, unit.count / 2});
      divided.push_back({unit.begin + unit.count / 2, unit.count - unit.count / 2});
    } else if (failed.outcome.verdict == Verdict::kRejected) {
      each(unit, [&](std::size_t i) { reject(i, "refused", failed.outcome.reason); });
    } else {
      each(unit, [&](std::size_t i) { records_[i] = failed.outcome; });
      if (to_retry++ == 0) first = &failed.outcome;
    }
  }
  push(divided);
  if (first == nullptr) return;
  AwsReply reply = std::move(result.reply);
  reply.failure = first->failure;
  reply.error = log::escaped(std::to_string(to_retry) + " of " + std::to_string(sent.size()) +
                             " records failed: " + first->reason);
  halt(std::move(reply));
}

// The service refused the call because of some unit: find it.
void SplitDelivery::isolate(const std::vector<Unit>& sent, const CallResult& result,
                            const std::vector<std::size_t>& order) {
  const std::span<const Unit> units(sent);
  if (units.size() > 1) {
    if (result.blamed && *result.blamed < units.size()) {
      push(units.subspan(*result.blamed + 1));
      push(units.subspan(*result.blamed, 1));
      push(units.first(*result.blamed));
    } else {
      push(units.subspan(units.size() / 2));
      push(units.first(units.size() / 2));
    }
    return;
  }
  const Unit unit = units.front();
  if (unit.count == 1) {
    reject(order[unit.begin], "refused", result.reply.error);
    return;
  }
  const std::size_t half = unit.count / 2;
  const Unit second = {unit.begin + half, unit.count - half};
  const Unit first = {unit.begin, half};
  push({&second, 1});
  push({&first, 1});
}

Outcome SplitDelivery::outcome() {
  const auto count = [this](Verdict verdict) {
    return std::count_if(records_.begin(), records_.end(),
                         [verdict](const RecordOutcome& r) { return r.verdict == verdict; });
  };
  const auto all = static_cast<std::ptrdiff_t>(records_.size());
  if (count(Verdict::kDelivered) == all) return Outcome::delivered();
  if (count(Verdict::kRetry) == all && last_.http.status / 100 != 2) return last_.outcome();
  const bool failed = halted_ && !left_rest_;
  Outcome outcome = failed ? last_.outcome() : Outcome::delivered();
  const auto refused = std::find_if(records_.begin(), records_.end(), [](const RecordOutcome& r) {
    return r.verdict == Verdict::kRejected;
  });
  if (!failed && refused != records_.end()) outcome = Outcome::rejected(refused->reason);
  for (RecordOutcome& record : records_) {
    if (record.verdict != Verdict::kRetry || !record.reason.empty()) continue;
    if (left_rest_) {
      record.verdict = Verdict::kUntried;
      continue;
    }
    record.failure = outcome.failure;
    record.reason = outcome.error;
  }
  outcome.records = std::move(records_);
  return outcome;
}

}  // namespace weir::destination
