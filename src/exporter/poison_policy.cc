#include "exporter/poison_policy.h"

#include "base/log.h"
#include "exporter/wrapped_destination.h"

#include <algorithm>
#include <utility>
#include <vector>

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

  // All refused messages of a batch at once: one wait for the disk, not one for each.
  void set_aside(const Batch& batch, Outcome& outcome, const std::stop_token& stop) {
    std::vector<DeadLetter> letters;
    std::vector<std::size_t> refused;  // of which records
    std::int64_t going_round = 0;
    for (std::size_t i = 0; i < outcome.records.size(); ++i) {
      if (outcome.records[i].verdict != Verdict::kRejected) continue;
      const Message& message = batch.messages()[i];
      if (goes_round(message, outcome.records[i])) {
        ++going_round;
        continue;
      }
      letters.push_back(letter_of(batch, message, outcome.records[i].reason));
      refused.push_back(i);
    }
    if (going_round > 0) tell_of_circle(batch, going_round);
    if (letters.empty()) return;
    const KeptLetters kept = letters_->keep(policy_.stream, letters, stop);
    for (std::size_t n = 0; n < refused.size(); ++n) {
      RecordOutcome& record = outcome.records[refused[n]];
      if (n < kept.count) {
        record.set_aside = true;
      } else {
        not_kept(outcome, record, letters[n].sequence, kept.outcome.error());
      }
    }
  }

  // Letters that would go round without an end are not kept again: each still is where it was read.
  // True if the record is such a one.
  bool goes_round(const Message& message, RecordOutcome& record) const {
    if (!comes_from(message.payload, policy_.stream)) return false;
    record.reason += "; it is a dead letter of a message from stream '" +
                     log::escaped(policy_.stream) + "' and is not kept there again";
    return true;
  }

  void tell_of_circle(const Batch& batch, std::int64_t letters) const {
    log::warn(
        "Dead letters were refused in turn and are skipped: this export's dead-letter stream is "
        "where they come from. Name another one for it, or set poison: drop.",
        {{"stream", batch.stream_name()},
         {"destination", batch.identifier()},
         {"dead_letter_stream", policy_.stream},
         {"letters", letters}});
  }

  void not_kept(Outcome& outcome, RecordOutcome& record, SequenceNumber number,
                const Error& why) const {
    const bool interrupted = why.code == Errc::kCancelled;
    hold(outcome, record, interrupted ? FailureClass::kTransient : FailureClass::kOperator,
         "message " + std::to_string(number.value()) +
             " was refused for good and cannot be kept in dead-letter stream '" +
             log::escaped(policy_.stream) + "': " + why.what +
             "; the refusal was: " + record.reason);
  }

  [[nodiscard]] DeadLetter letter_of(const Batch& batch, const Message& message,
                                     const std::string& reason) const {
    DeadLetter letter;
    letter.stream = batch.stream_name();
    letter.identifier = batch.identifier();
    letter.type = type_;
    letter.sequence = message.sequence;
    letter.append_ms = message.append_ms;
    letter.refused_ms = clock_.wall_ms();
    letter.reason = log::escaped(reason);
    letter.payload = message.payload;
    return letter;
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
