#include "exporter/poison_policy.h"

#include "base/log.h"
#include "exporter/wrapped_destination.h"

#include <algorithm>
#include <utility>

namespace weir::exporter {
namespace {

// Every record with its own outcome, also where one stood for all.
void spell_out(Outcome& outcome, std::size_t count) {
  if (!outcome.records.empty() || outcome.verdict != Verdict::kRejected) return;
  outcome.records.assign(count, {Verdict::kRejected, outcome.failure, outcome.error});
}

bool any_rejected(const Outcome& outcome) {
  if (outcome.records.empty()) return outcome.verdict == Verdict::kRejected;
  return std::any_of(outcome.records.begin(), outcome.records.end(),
                     [](const RecordOutcome& r) { return r.verdict == Verdict::kRejected; });
}

// The record is to be tried again, and the batch says so; a failure that the destination itself
// wants retried comes first, because that ends sooner.
void hold(Outcome& outcome, RecordOutcome& record, FailureClass failure, std::string why) {
  record.verdict = Verdict::kRetry;
  record.failure = failure;
  record.reason = std::move(why);
  if (outcome.verdict == Verdict::kRetry && outcome.failure != FailureClass::kNone &&
      outcome.failure != FailureClass::kPoison) {
    return;
  }
  outcome.verdict = Verdict::kRetry;
  outcome.failure = failure;
  outcome.error = record.reason;
}

class Guarded final : public WrappedDestination {
 public:
  Guarded(std::unique_ptr<Destination> inner, PoisonPolicy policy, std::string type,
          DeadLetters* letters, Clock& clock)
      : WrappedDestination(std::move(inner)),
        policy_(std::move(policy)),
        type_(std::move(type)),
        letters_(letters),
        clock_(clock) {}

  // Elsewhere what was refused is settled as soon as its letter is written.
  void forgive_refusals() override {
    if (policy_.action == PoisonPolicy::Action::kBlock) WrappedDestination::forgive_refusals();
  }

  Outcome deliver(const Batch& batch, std::stop_token stop) override {
    Outcome outcome = WrappedDestination::deliver(batch, stop);
    const bool complete =
        outcome.records.empty() || outcome.records.size() == batch.messages().size();
    if (!complete || !any_rejected(outcome)) return outcome;
    spell_out(outcome, batch.messages().size());
    if (policy_.action == PoisonPolicy::Action::kBlock) {
      block(batch, outcome);
    } else {
      set_aside(batch, outcome, stop);
    }
    return outcome;
  }

 private:
  static void block(const Batch& batch, Outcome& outcome) {
    for (std::size_t i = 0; i < outcome.records.size(); ++i) {
      RecordOutcome& record = outcome.records[i];
      if (record.verdict != Verdict::kRejected) continue;
      hold(outcome, record, FailureClass::kOperator,
           "message " + std::to_string(batch.messages()[i].sequence.value()) +
               " was refused for good and blocks the export: " + record.reason);
    }
  }

  void set_aside(const Batch& batch, Outcome& outcome, const std::stop_token& stop) {
    Result<void> kept;
    for (std::size_t i = 0; i < outcome.records.size(); ++i) {
      RecordOutcome& record = outcome.records[i];
      if (record.verdict != Verdict::kRejected) continue;
      const Message& message = batch.messages()[i];
      // After one that could not be kept the others wait too: letters keep the order.
      if (kept) kept = keep(batch, message, record.reason, stop);
      if (kept) {
        record.set_aside = true;
        continue;
      }
      const bool interrupted = kept.error().code == Errc::kCancelled;
      hold(outcome, record, interrupted ? FailureClass::kTransient : FailureClass::kOperator,
           "message " + std::to_string(message.sequence.value()) +
               " was refused for good and cannot be kept in dead-letter stream '" +
               log::escaped(policy_.stream) + "': " + kept.error().what +
               "; the refusal was: " + record.reason);
    }
  }

  Result<void> keep(const Batch& batch, const Message& message, const std::string& reason,
                    const std::stop_token& stop) {
    DeadLetter letter;
    letter.stream = batch.stream_name();
    letter.identifier = batch.identifier();
    letter.type = type_;
    letter.sequence = message.sequence;
    letter.append_ms = message.append_ms;
    letter.refused_ms = clock_.wall_ms();
    letter.reason = log::escaped(reason);
    letter.payload = message.payload;
    return letters_->keep(policy_.stream, letter, stop);
  }

  const PoisonPolicy policy_;
  const std::string type_;
  DeadLetters* const letters_;
  Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<Destination>> with_poison_policy(std::unique_ptr<Destination> destination,
                                                        PoisonPolicy policy, const ExportSpec& spec,
                                                        DeadLetters* letters, Clock& clock) {
  if (policy.action == PoisonPolicy::Action::kDrop) return destination;
  if (policy.action == PoisonPolicy::Action::kDeadLetter && policy.stream == spec.stream_name) {
    return fail(Errc::kInvalidArgument,
                "dead_letter_stream is the stream itself; what its export refuses would come back "
                "without an end. Name another one, or set poison: drop");
  }
  return std::unique_ptr<Destination>(
      std::make_unique<Guarded>(std::move(destination), std::move(policy),
                                model::export_type_name(spec.config.type), letters, clock));
}

}  // namespace weir::exporter
