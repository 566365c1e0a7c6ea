#include "exporter/exporter.h"

#include "base/check.h"
#include "base/log.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace weir::exporter {
namespace {

constexpr SequenceNumber kNever{std::numeric_limits<std::int64_t>::max()};

// How far apart two looks at a growing log may be before ages become too coarse. Intervals of
// clients are 60 s and more.
constexpr Duration kLookSpacing = std::chrono::seconds(1);

// Failures that only a person can end: after a few quick tries they are retried slowly.
bool needs_a_person(FailureClass failure) {
  return failure == FailureClass::kOperator || failure == FailureClass::kBug ||
         failure == FailureClass::kCredentials || failure == FailureClass::kClock;
}

// The configuration without what concerns only when and where the export reads: two exports that
// agree in the rest can share a destination.
model::ExportConfig destination_part(model::ExportConfig config) {
  config.batch_size.reset();
  config.batch_interval_ms.reset();
  config.priority.reset();
  config.start_sequence_number.reset();
  config.disabled.reset();
  return config;
}

// A destination that asks to be spared is left alone for longer than one that just failed.
constexpr int kThrottleAhead = 2;  // doublings: 4 s where others wait for one

// So many batches taken whole lead from any size to a full batch.
constexpr std::int64_t kStepsToFull = 16;

Instant saturating_add(Instant at, Duration by) {
  return by > Instant::max() - at ? Instant::max() : at + by;
}

}  // namespace

std::optional<stream::Cursor> cursor_of(const std::string& identifier,
                                        const std::vector<stream::Cursor>& saved) {
  const auto found = std::find_if(saved.begin(), saved.end(), [&](const stream::Cursor& one) {
    return one.identifier == identifier;
  });
  if (found == saved.end()) return std::nullopt;
  return *found;
}

Exporter::Exporter(model::ExportConfig config, const std::optional<stream::Cursor>& saved,
                   const Timing& timing, std::uint64_t seed)
    : config_(std::move(config)), timing_(timing), backoff_(timing.backoff, seed) {
  const std::int64_t start = config_.start_sequence_number.value_or(0);
  if (!saved || saved->type != config_.type) {
    reposition(start);
  } else {
    fresh_ = false;
    next_ = tried_end_ = saved->next;
    start_ = saved->start_sequence_number;
    exported_messages_ = saved->exported_messages;
    exported_bytes_ = saved->exported_bytes;
    last_export_ms_ = saved->last_export_ms;
    error_message_ = saved->error_message;
    paused_ = saved->paused;
    if (start_ != start) reposition(start);
  }
  state_ = settle_state(Instant{});
}

std::int64_t Exporter::log_moved(SequenceNumber oldest, SequenceNumber end, Instant now) {
  oldest_ = std::max(oldest_, oldest);
  std::int64_t lost = 0;
  if (fresh_) {
    drop_below(oldest_);
    fresh_ = false;
  } else if (!in_flight_) {
    lost = drop_below(oldest_);
  }
  note_arrivals(end, now);
  refresh(now);
  return lost;
}

void Exporter::destination_made(const Destination::Limits& limits, Instant now) {
  limits_ = limits;
  broken_.clear();
  refresh(now);
}

void Exporter::destination_failed(std::string why, Instant now, State as) {
  broken_as_ = as;
  broken_ = why.empty() ? "its destination cannot be made" : std::move(why);
  refresh(now);
}

void Exporter::set_timing(const Timing& timing) {
  timing_ = timing;
  backoff_.set_options(timing.backoff);
}

Exporter::Redefined Exporter::redefine(model::ExportConfig config, Instant now, bool elsewhere) {
  WEIR_CHECK(config.identifier == config_.identifier && config.type == config_.type,
             "another identifier or type is another export");
  Redefined redefined;
  const std::int64_t start = config.start_sequence_number.value_or(0);
  redefined.repositioned = start != start_;
  redefined.other_destination = elsewhere || destination_part(config) != destination_part(config_);
  const bool resumed = config_.disabled.value_or(false) && !config.disabled.value_or(false);
  config_ = std::move(config);
  if (redefined.repositioned) reposition(start);
  if (redefined.other_destination) {
    // What the old destination took beyond the position, the new one has not seen.
    tried_end_ = next_;
    resend_.clear();
    granted_max_ = kNoLimit;
    ++generation_;
  }
  if (redefined.repositioned || redefined.other_destination || resumed) forgive();
  if (!interval()) marks_.clear();
  refresh(now);
  return redefined;
}

void Exporter::tick(Instant now) {
  if (retry_at_ && now >= *retry_at_) woken_ = false;
  refresh(now);
}

void Exporter::host_works(Instant now) {
  if (waits_for_host()) wake(now);
}

void Exporter::keys_work(Instant now) {
  if (waits_for_keys()) wake(now);
}

void Exporter::wake(Instant now) {
  woken_ = true;
  retry_at_.reset();
  refresh(now);
}

void Exporter::pause(Instant now) {
  paused_ = true;
  ++revision_;
  refresh(now);
}

void Exporter::resume(Instant now) {
  paused_ = false;
  ++revision_;
  forgive();
  refresh(now);
}

std::int64_t Exporter::move_to(SequenceNumber to, Instant now) {
  const std::int64_t passed = undelivered_below(to);
  lost_ += passed;
  place(to);
  end_ = std::max(end_, to);
  marks_.clear();
  fresh_ = false;
  forgive();
  error_message_.clear();
  last_failure_ = FailureClass::kNone;
  refresh(now);
  return passed;
}

void Exporter::retry_now(Instant now) {
  woken_ = false;
  retry_at_.reset();
  refresh(now);
}

Grant Exporter::take(Instant now) {
  WEIR_CHECK(state_ == State::kReady, "only an export that is ready is granted a worker");
  in_flight_ = true;
  refresh(now);
  const auto messages = resend_.empty()
                            ? granted_messages()
                            : std::min(static_cast<std::int64_t>(resend_.size()), granted_max_);
  return {generation_, tried_end_, resend_, messages};
}

Exporter::Settled Exporter::finish(const Delivery& delivery, Instant now, std::int64_t wall_ms) {
  WEIR_CHECK(in_flight_, "an outcome without a delivery under way");
  in_flight_ = false;
  Settled settled;
  if (delivery.generation != generation_) {
    settled.result = Result::kSuperseded;
    settled.lost_messages += drop_below(oldest_);
    refresh(now);
    return settled;
  }
  switch (delivery.kind) {
    case Delivery::Kind::kNeedsBytes:
      bytes_needed_ = delivery.bytes_needed;
      settled.result = Result::kNeedsBytes;
      break;
    case Delivery::Kind::kInterrupted:
      settled.result = Result::kInterrupted;
      break;
    case Delivery::Kind::kReadFailed:
      last_export_ms_ = wall_ms;
      failed(delivery, delivery.outcome.failure, delivery.outcome.error, now, settled);
      break;
    case Delivery::Kind::kAnswered:
      limits_ = delivery.limits;
      bytes_needed_ = 0;
      if (!delivery.sent.empty()) last_export_ms_ = wall_ms;
      settle_answer(delivery, now, settled);
      break;
  }
  settled.lost_messages += drop_below(oldest_);
  refresh(now);
  return settled;
}

void Exporter::settle_answer(const Delivery& delivery, Instant now, Settled& settled) {
  const Outcome& outcome = delivery.outcome;
  const SequenceNumber asked = resend_.empty() ? tried_end_ : resend_.front();
  if (delivery.sent.empty()) {
    if (delivery.next <= asked) {
      failed(delivery, FailureClass::kTransient, "the stream returned no messages", now, settled);
      return;
    }
    settled.result = Result::kNothing;
    resend_.empty() ? pass_new(delivery, {}, settled) : pass_resent(delivery, {}, settled);
    return;
  }
  if (!outcome.records.empty() && outcome.records.size() != delivery.sent.size()) {
    failed(delivery, outcome.failure,
           "the destination answered for " + std::to_string(outcome.records.size()) +
               " messages of " + std::to_string(delivery.sent.size()),
           now, settled);
    return;
  }
  auto refused = apply_verdicts(delivery, settled);
  if (refused.size() == delivery.sent.size()) {
    const auto& record = outcome.records.empty() ? RecordOutcome{} : outcome.records.front();
    failed(delivery, outcome.failure != FailureClass::kNone ? outcome.failure : record.failure,
           !outcome.error.empty() ? outcome.error : record.reason, now, settled);
    return;
  }
  const bool had_failures = consecutive_failures_ > 0;
  const auto untried = std::count_if(outcome.records.begin(), outcome.records.end(),
                                     [](const auto& r) { return r.verdict == Verdict::kUntried; });
  if (refused.size() == static_cast<std::size_t>(untried)) {
    forgive();
    if (refused.empty()) grow();
    settled.result = Result::kSucceeded;
    settled.after_failures = had_failures;
    error_message_ = settled.rejection_reason;
    last_failure_ = settled.rejection;
  } else {
    const auto first = std::find_if(outcome.records.begin(), outcome.records.end(),
                                    [](const auto& r) { return r.verdict == Verdict::kRetry; });
    const auto failure = outcome.failure != FailureClass::kNone ? outcome.failure : first->failure;
    // While batches are throttled in part the waits grow, until one is taken whole.
    if (failure == FailureClass::kThrottle && delivery.sent_before == 0) {
      forget_failures();
    } else {
      forgive();
    }
    failed(delivery, failure, !outcome.error.empty() ? outcome.error : first->reason, now, settled);
    settled.result = Result::kPartial;
  }
  if (resend_.empty()) {
    pass_new(delivery, std::move(refused), settled);
  } else {
    pass_resent(delivery, refused, settled);
  }
}

std::vector<SequenceNumber> Exporter::apply_verdicts(const Delivery& delivery, Settled& settled) {
  const Outcome& outcome = delivery.outcome;
  std::vector<SequenceNumber> refused;
  for (std::size_t i = 0; i < delivery.sent.size(); ++i) {
    const auto& sent = delivery.sent[i];
    const bool whole = outcome.records.empty();
    switch (whole ? outcome.verdict : outcome.records[i].verdict) {
      case Verdict::kDelivered:
        ++settled.delivered_messages;
        settled.delivered_bytes += sent.bytes;
        break;
      case Verdict::kRetry:
      case Verdict::kUntried:
        refused.push_back(sent.sequence);
        break;
      case Verdict::kRejected:
        if (!whole && outcome.records[i].set_aside) ++settled.set_aside_messages;
        if (settled.rejected_messages++ == 0) {
          settled.first_rejected = sent.sequence;
          settled.rejection = whole ? outcome.failure : outcome.records[i].failure;
          settled.rejection_reason =
              log::escaped(whole ? outcome.error : outcome.records[i].reason);
        }
        break;
    }
  }
  exported_messages_ += settled.delivered_messages + settled.rejected_messages;
  exported_bytes_ += settled.delivered_bytes;
  skipped_ += settled.rejected_messages - settled.set_aside_messages;
  set_aside_ += settled.set_aside_messages;
  return refused;
}

// The numbers from `tried_end_` to `delivery.next` were read; those not sent do not exist any more.
void Exporter::pass_new(const Delivery& delivery, std::vector<SequenceNumber> failed,
                        Settled& settled) {
  const SequenceNumber first =
      delivery.sent.empty() ? delivery.next : delivery.sent.front().sequence;
  const SequenceNumber removed_below = std::min(first, delivery.oldest);
  const std::int64_t removed = std::max<std::int64_t>(0, removed_below - tried_end_);
  const auto sent = static_cast<std::int64_t>(delivery.sent.size());
  settled.lost_messages += removed;
  settled.missing_numbers += (delivery.next - tried_end_) - removed - sent;
  lost_ += removed;
  tried_end_ = delivery.next;
  end_ = std::max(end_, tried_end_);
  resend_ = std::move(failed);
  move_position(resend_.empty() ? tried_end_ : resend_.front());
}

// Of the numbers to resend, those below `delivery.next` were looked for.
void Exporter::pass_resent(const Delivery& delivery, const std::vector<SequenceNumber>& failed,
                           Settled& settled) {
  std::vector<SequenceNumber> left;
  auto sent = delivery.sent.begin();
  for (const SequenceNumber number : resend_) {
    if (sent != delivery.sent.end() && sent->sequence == number) {
      ++sent;
      if (std::binary_search(failed.begin(), failed.end(), number)) left.push_back(number);
    } else if (number >= delivery.next) {
      left.push_back(number);
    } else if (number < delivery.oldest) {
      ++settled.lost_messages;
      ++lost_;
    } else {
      ++settled.missing_numbers;
    }
  }
  resend_ = std::move(left);
  move_position(resend_.empty() ? tried_end_ : resend_.front());
}

void Exporter::failed(const Delivery& delivery, FailureClass failure, const std::string& error,
                      Instant now, Settled& settled) {
  const Outcome& outcome = delivery.outcome;
  if (failure == FailureClass::kNone || failure == FailureClass::kPoison) {
    failure = FailureClass::kTransient;  // not a refusal for good, so it may work later
  }
  int ahead = 0;
  if (failure == FailureClass::kThrottle) {
    const bool part_taken =
        settled.delivered_messages + settled.rejected_messages > delivery.sent_before;
    const bool again = consecutive_failures_ > 0 && last_failure_ == FailureClass::kThrottle;
    // Where calls are what is counted, a wait is the remedy and smaller calls would make it worse.
    if (part_taken || again) {
      shrink(static_cast<std::int64_t>(delivery.sent.size()) - delivery.sent_before);
    }
    // What takes a part is at its limit, not beyond it.
    if (!part_taken) ahead = kThrottleAhead;
  }
  ++consecutive_failures_;
  ++revision_;
  Duration wait = backoff_.next(outcome.retry_after, ahead);
  constexpr std::int64_t kQuickTries = 3;
  if (needs_a_person(failure) && consecutive_failures_ >= kQuickTries) {
    wait = std::max(wait, timing_.operator_retry_min);
  }
  retry_at_ = saturating_add(now, wait);
  last_failure_ = failure;
  connection_failed_ = outcome.connection_failed;
  without_keys_ = outcome.without_keys;
  error_message_ = log::escaped(error.empty() ? "the destination gave no reason" : error);
  settled.result = Result::kFailed;
  settled.failure = failure;
  settled.wait = wait;
}

void Exporter::shrink(std::int64_t sent) {
  std::int64_t size = granted_messages();
  if (resend_.empty() && sent > 0) size = std::min(size, sent);
  granted_max_ = std::max<std::int64_t>(1, size / 2);
}

void Exporter::grow() {
  const std::int64_t full = batch_messages();
  if (granted_max_ < full) granted_max_ += std::max<std::int64_t>(1, full / kStepsToFull);
  if (granted_max_ >= full) granted_max_ = kNoLimit;
}

void Exporter::forgive() {
  backoff_.reset();
  forget_failures();
}

void Exporter::forget_failures() {
  consecutive_failures_ = 0;
  retry_at_.reset();
  connection_failed_ = false;
  without_keys_ = false;
  woken_ = false;
}

void Exporter::move_position(SequenceNumber next) {
  WEIR_CHECK(next >= next_, "a position goes back only when the user says so");
  next_ = next;
  ++revision_;
  forget_marks();
}

void Exporter::reposition(std::int64_t start) {
  start_ = start;
  place(SequenceNumber(start));
  fresh_ = true;
}

void Exporter::place(SequenceNumber next) {
  next_ = tried_end_ = next;
  resend_.clear();
  bytes_needed_ = 0;
  ++generation_;
  ++revision_;
}

std::int64_t Exporter::undelivered_below(SequenceNumber number) const {
  const auto refused = std::lower_bound(resend_.begin(), resend_.end(), number) - resend_.begin();
  return refused + std::max<std::int64_t>(0, number - tried_end_);
}

std::int64_t Exporter::drop_below(SequenceNumber oldest) {
  if (next_ >= oldest) return 0;
  const std::int64_t lost = undelivered_below(oldest);
  resend_.erase(resend_.begin(), std::lower_bound(resend_.begin(), resend_.end(), oldest));
  tried_end_ = std::max(tried_end_, oldest);
  move_position(resend_.empty() ? tried_end_ : resend_.front());
  // What was removed before this export existed (or chose its start) was never its to lose.
  if (fresh_) return 0;
  lost_ += lost;
  return lost;
}

void Exporter::refresh(Instant now) {
  // After a step back to older messages, or with an interval that is new, nothing is known of ages.
  if (interval() && waiting() > 0 && marks_.empty()) marks_.push_back({end_, now});
  state_ = settle_state(now);
  if (state_ != State::kReady) {
    ready_since_.reset();
  } else if (!ready_since_) {
    ready_since_ = now;
  }
}

State Exporter::settle_state(Instant now) {
  if (in_flight_) return State::kInFlight;
  if (paused_ || config_.disabled.value_or(false)) return State::kStopped;
  if (!broken_.empty()) return broken_as_;
  if (retry_at_ && now < *retry_at_) return State::kBackoff;
  retry_at_.reset();
  if (!resend_.empty()) return State::kReady;
  if (waiting() <= 0) return State::kIdle;
  return eligible(now) ? State::kReady : State::kCollecting;
}

bool Exporter::eligible(Instant now) const {
  const auto wait = interval();
  if (!wait || waiting() >= batch_messages()) return true;
  return !marks_.empty() && now - marks_.front().at >= *wait;
}

std::optional<Duration> Exporter::interval() const {
  if (!config_.batch_interval_ms) return std::nullopt;
  constexpr std::int64_t kMsMax = Duration::max().count() / 1'000'000;
  return std::chrono::milliseconds(std::clamp<std::int64_t>(*config_.batch_interval_ms, 0, kMsMax));
}

Instant Exporter::deadline() const {
  if (state_ == State::kBackoff) return *retry_at_;
  const auto wait = interval();
  if (state_ == State::kCollecting && wait && !marks_.empty()) {
    return saturating_add(marks_.front().at, *wait);
  }
  return Instant::max();
}

void Exporter::note_arrivals(SequenceNumber end, Instant now) {
  const auto wait = interval();
  if (wait && end > end_) {
    // An idle export hears of the first message at once; any other one hears of new data once in
    // `kLookSpacing`, so what it had not heard of then arrived before that.
    const Instant at = state_ == State::kIdle || !looked_at_
                           ? now
                           : std::min(now, saturating_add(*looked_at_, kLookSpacing));
    const auto spacing = *wait / static_cast<std::int64_t>(kMarksMax);
    // Coarser marks make a batch go out at most a 64th of the interval early.
    if (!marks_.empty() && (at - marks_.back().at < spacing || marks_.size() >= kMarksMax)) {
      marks_.back().end = end;
    } else {
      marks_.push_back({end, at});
    }
    while (marks_.size() > 1 && now - marks_[1].at >= *wait) marks_.pop_front();
  }
  looked_at_ = now;
  end_ = std::max(end_, end);
  forget_marks();
}

void Exporter::forget_marks() {
  while (!marks_.empty() && marks_.front().end <= tried_end_) marks_.pop_front();
}

std::int64_t Exporter::batch_messages() const {
  // Not by the type of the definition: a redirected export goes elsewhere.
  const std::int64_t wanted = config_.batch_size.value_or(limits_.messages_max);
  return std::max<std::int64_t>(1, std::min(wanted, limits_.messages_max));
}

std::int64_t Exporter::granted_messages() const { return std::min(batch_messages(), granted_max_); }

std::int64_t Exporter::batch_bytes() const {
  return std::max({bytes_needed_, limits_.batch_bytes_max, std::int64_t{1}});
}

SequenceNumber Exporter::wake_end() const {
  if (state_ == State::kIdle) return std::max(end_, tried_end_) + 1;
  if (state_ == State::kCollecting) return tried_end_ + batch_messages();
  return kNever;
}

Instant Exporter::look_again() const {
  const bool ages = state_ == State::kCollecting || state_ == State::kReady ||
                    state_ == State::kInFlight || state_ == State::kBackoff;
  if (!ages || !interval() || !looked_at_) return Instant::max();
  return saturating_add(*looked_at_, kLookSpacing);
}

stream::Cursor Exporter::cursor() const {
  return {config_.identifier, config_.type,    next_,          start_, exported_bytes_,
          exported_messages_, last_export_ms_, error_message_, paused_};
}

model::ExportStatus Exporter::status() const {
  return {config_.identifier, next_.value() - 1, last_export_ms_,
          error_message_,     exported_bytes_,   exported_messages_};
}

const char* state_name(State state) {
  switch (state) {
    case State::kIdle:
      return "idle";
    case State::kCollecting:
      return "collecting";
    case State::kReady:
      return "ready";
    case State::kInFlight:
      return "in_flight";
    case State::kBackoff:
      return "backoff";
    case State::kStopped:
      return "stopped";
    case State::kBroken:
      return "broken";
    case State::kServiceRetired:
      return "service_retired";
  }
  return "unknown";
}

}  // namespace weir::exporter
