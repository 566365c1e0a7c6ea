#include "connector/publisher.h"

#include "base/log.h"
#include "connector/metrics.h"
#include "mqtt/reasons.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weir::connector {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::RecordOutcome;
using exporter::Verdict;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kLastAnswers = std::chrono::milliseconds(500);
constexpr std::int64_t kMessagesMax = 100;
constexpr std::int64_t kBytesMax = 2 << 20;  // half of what the client lets wait
constexpr std::uint8_t kNoSubscriber = 0x10;
constexpr std::uint8_t kFirstFailure = 0x80;

// destinations.md §16.
FailureClass class_of(std::uint8_t reason) {
  switch (reason) {
    case 0x97:
      return FailureClass::kThrottle;
    case 0x84:
    case 0x85:
    case 0x86:
    case 0x87:
    case 0x8A:
      return FailureClass::kOperator;
    case 0x90:
    case 0x95:
    case 0x99:
      return FailureClass::kPoison;
    default:
      return FailureClass::kTransient;
  }
}

class AnswersDestination final : public exporter::Destination {
 public:
  AnswersDestination(Publisher& publisher, const Options& options)
      : publisher_(publisher), host_(options.broker_url) {}

  [[nodiscard]] Limits limits() const override { return {kMessagesMax, kBytesMax, 0}; }
  Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override {
    return publisher_.deliver(batch, stop);
  }
  [[nodiscard]] std::string host() const override { return host_; }

 private:
  Publisher& publisher_;
  const std::string host_;
};

}  // namespace

void Publisher::use(mqtt::Client& client) {
  const MutexLock lock(mutex_);
  client_ = &client;
}

void Publisher::stop() {
  const MutexLock lock(mutex_);
  client_ = nullptr;
  const auto until = steady_clock::now() + kLastAnswers;
  while (connected_ && !all_answered() && steady_clock::now() < until) {
    changed_.wait_until(mutex_, until);
  }
  connected_ = false;
  why_not_ = "weir is stopping";
  changed_.notify_all();
}

bool Publisher::all_answered() const {
  return std::all_of(handed_.begin(), handed_.end(),
                     [](const auto& one) { return one.second.has_value(); });
}

void Publisher::connected() {
  const MutexLock lock(mutex_);
  connected_ = true;
}

void Publisher::disconnected(const std::string& why) {
  const MutexLock lock(mutex_);
  connected_ = false;
  why_not_ = why;
  changed_.notify_all();
}

void Publisher::published(const mqtt::Published& what) {
  const MutexLock lock(mutex_);
  const auto found = handed_.find(what.token);
  if (found == handed_.end()) return;
  found->second = what;
  changed_.notify_all();
}

std::string Publisher::complaint() const {
  const MutexLock lock(mutex_);
  return complaint_;
}

// False: the client takes no more for now.
bool Publisher::hand_over(const exporter::Message& message, RecordOutcome& outcome) {
  const auto token = static_cast<std::uint64_t>(message.sequence.value());
  mqtt::Client* client = nullptr;
  bool alone = false;
  {
    const MutexLock lock(mutex_);
    if (handed_.contains(token)) return true;
    if (!connected_ || client_ == nullptr) return false;
    client = client_;
    alone = all_answered();
    handed_.emplace(token, std::nullopt);
  }
  if (client->publish(token, options_.status_topic, std::string(as_text(message.payload)))) {
    return true;
  }
  const MutexLock lock(mutex_);
  handed_.erase(token);
  if (!alone) return false;
  // Nothing else is in its way, so it is the message.
  complaint_ = "the message has " + std::to_string(message.payload.size()) +
               " bytes, more than the broker takes";
  outcome = {Verdict::kRejected, FailureClass::kPoison, complaint_};
  metrics_.counter(kLostAnswersTotal, {options_.name, "refused"}).add();
  metrics_.counter(kPublishedMessagesTotal, {options_.name, "dropped"}).add();
  return true;
}

void Publisher::wait(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const MutexLock lock(mutex_);
    changed_.notify_all();
  });
  const auto until = steady_clock::now() + kPatience;
  const MutexLock lock(mutex_);
  while (connected_ && !all_answered() && !stop.stop_requested() && steady_clock::now() < until) {
    changed_.wait_until(mutex_, until);
  }
}

RecordOutcome Publisher::judge(const mqtt::Published& answer) {
  const auto count = [this](const char* result) {
    metrics_.counter(kPublishedMessagesTotal, {options_.name, result}).add();
  };
  if (answer.reason < kFirstFailure) {
    count(answer.reason == kNoSubscriber ? "no_subscriber" : "taken");
    complaint_.clear();
    return {Verdict::kDelivered, FailureClass::kNone, {}};
  }
  const FailureClass failure = class_of(answer.reason);
  complaint_ = "the broker does not take messages on '" + log::escaped(options_.status_topic) +
               "': " + mqtt::reason_with_code(answer.reason);
  if (!answer.text.empty()) complaint_ += " " + answer.text;
  if (failure == FailureClass::kOperator) complaint_ += "; allow it in the broker's access list";
  if (failure == FailureClass::kPoison) {
    count("dropped");
    metrics_.counter(kLostAnswersTotal, {options_.name, "refused"}).add();
    return {Verdict::kRejected, failure, complaint_};
  }
  count("refused");
  return {Verdict::kRetry, failure, complaint_};
}

Outcome Publisher::deliver(const exporter::Batch& batch, const std::stop_token& stop) {
  const auto& messages = batch.messages();
  Outcome outcome;
  outcome.records.resize(messages.size());
  {
    // What the stream has removed meanwhile is of no interest any more.
    const MutexLock lock(mutex_);
    handed_.erase(
        handed_.begin(),
        handed_.lower_bound(static_cast<std::uint64_t>(messages.front().sequence.value())));
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (!hand_over(messages[i], outcome.records[i])) break;
  }
  wait(stop);
  const MutexLock lock(mutex_);
  const RecordOutcome* failed = nullptr;
  bool unanswered = false;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& record = outcome.records[i];
    if (record.verdict == Verdict::kRejected) continue;
    const auto found = handed_.find(static_cast<std::uint64_t>(messages[i].sequence.value()));
    if (found == handed_.end() || !found->second) {
      unanswered = true;
      record = {Verdict::kRetry, FailureClass::kTransient, "the broker has not answered yet"};
      continue;
    }
    record = judge(*found->second);
    handed_.erase(found);
    if (record.verdict == Verdict::kRetry && failed == nullptr) failed = &record;
  }
  if (failed != nullptr) {
    outcome.failure = failed->failure;
    outcome.error = failed->reason;
  } else if (unanswered) {
    outcome.failure = FailureClass::kTransient;
    outcome.connection_failed = !connected_;
    outcome.error = connected_ ? "the broker has not answered yet"
                               : "there is no connection to the broker: " + why_not_;
  } else {
    outcome.verdict = Verdict::kDelivered;
  }
  return outcome;
}

std::unique_ptr<exporter::Destination> answers_destination(Publisher& publisher,
                                                           const Options& options) {
  return std::make_unique<AnswersDestination>(publisher, options);
}

}  // namespace weir::connector
