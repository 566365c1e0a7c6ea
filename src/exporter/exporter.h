#pragma once

#include "base/backoff.h"
#include "base/clock.h"
#include "base/ids.h"
#include "exporter/delivery.h"
#include "exporter/destination.h"
#include "exporter/engine.h"
#include "model/definition.h"
#include "stream/stream.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace weir::exporter {

/// The saved position of the export of this name; none if there is none.
std::optional<stream::Cursor> cursor_of(const std::string& identifier,
                                        const std::vector<stream::Cursor>& saved);

/// The state machine of one export: where it stands in its stream, whether a batch is due, what an
/// outcome means. It is told of events and the time; it reads no log, saves nothing, logs nothing.
///
/// Position: everything below `next()` is delivered or deliberately dropped. After a partial
/// failure the refused numbers are remembered in memory and sent again, in order, before anything
/// new; `next()` is then the first of them.
///
/// Threads: one at a time (the scheduler's).
class Exporter {
 public:
  struct Timing {
    Backoff::Options backoff;
    Duration operator_retry_min = std::chrono::seconds(60);
  };

  /// Starts where `saved` says if it belongs to this configuration (same type; another
  /// startSequenceNumber repositions it, as an update would), else at startSequenceNumber.
  /// It has no destination yet: it is Broken, or Stopped if it is disabled.
  Exporter(model::ExportConfig config, const std::optional<stream::Cursor>& saved,
           const Timing& timing, std::uint64_t seed);

  // Events. Each may change `state()` and `deadline()`.

  /// What the log holds by now: `[oldest, end)`. Returns how many messages were removed before
  /// they were exported (0 while a delivery is under way: it may still save them).
  std::int64_t log_moved(SequenceNumber oldest, SequenceNumber end, Instant now);
  /// The destination could be made (again).
  void destination_made(const Destination::Limits& limits, Instant now);
  /// It could not; `why` says what to fix. `as` is kBroken or kServiceRetired.
  void destination_failed(std::string why, Instant now, State as = State::kBroken);

  struct Redefined {
    bool repositioned = false;
    bool other_destination = false;  ///< the destination has to be made anew
  };
  /// The configuration changed (protocol.md §4.7); identifier and type are as before.
  /// `elsewhere`: it leads to another place although its definition may say the same.
  Redefined redefine(model::ExportConfig config, Instant now, bool elsewhere = false);
  /// Other waits from the next failure on.
  void set_timing(const Timing& timing);
  /// Time passed; call at `deadline()`.
  void tick(Instant now);
  /// Another export reached the host this one failed to connect to. It tries at once, but not twice
  /// in a row for this reason: its own connection may be what is broken.
  void host_works(Instant now);
  /// An export that signs with credentials too has succeeded, so perhaps there are some again for
  /// this one. As `host_works`.
  void keys_work(Instant now);

  // What a person asks for.

  /// Grants no delivery until `resume`; one that is under way ends. Saved with the position.
  void pause(Instant now);
  void resume(Instant now);
  /// Goes on at `to`, a number of the log or its end, whatever was delivered. What a delivery under
  /// way comes to does not count any more, and an error that stood before is forgotten. Returns how
  /// many messages it passes that were not delivered; they count as lost.
  std::int64_t move_to(SequenceNumber to, Instant now);
  /// Ends the wait after a failure.
  void retry_now(Instant now);

  /// Requires: `state() == State::kReady`. Goes to InFlight.
  Grant take(Instant now);

  enum class Result : std::uint8_t {
    kSucceeded,    ///< all sent messages are done with
    kPartial,      ///< some are; the rest is resent
    kFailed,       ///< none is
    kNothing,      ///< the numbers held no message any more
    kNeedsBytes,   ///< ready again, with more memory
    kInterrupted,  ///< ready again
    kSuperseded,   ///< redefined meanwhile; nothing counts
  };
  struct Settled {
    Result result = Result::kFailed;
    std::int64_t delivered_messages = 0;
    std::int64_t delivered_bytes = 0;
    std::int64_t rejected_messages = 0;
    std::int64_t set_aside_messages = 0;  ///< of these, kept as dead letters
    SequenceNumber first_rejected;
    FailureClass rejection = FailureClass::kNone;
    std::string rejection_reason;
    std::int64_t lost_messages = 0;    ///< removed by retention before they were read
    std::int64_t missing_numbers = 0;  ///< the log holds no message under these numbers
    FailureClass failure = FailureClass::kNone;
    Duration wait{0};             ///< after a failure
    bool after_failures = false;  ///< the first success after at least one failure
  };
  /// Ends InFlight. `wall_ms` becomes the time of the last attempt.
  Settled finish(const Delivery& delivery, Instant now, std::int64_t wall_ms);

  // State.

  [[nodiscard]] State state() const { return state_; }
  /// When `tick` has something to do; `Instant::max()` if only an event can change anything.
  [[nodiscard]] Instant deadline() const;
  [[nodiscard]] std::int64_t priority() const { return config_.priority.value_or(kPriorityLowest); }
  /// Everything below is delivered or deliberately dropped.
  [[nodiscard]] SequenceNumber next() const { return next_; }
  [[nodiscard]] const model::ExportConfig& config() const { return config_; }
  [[nodiscard]] const Destination::Limits& limits() const { return limits_; }
  /// Messages of a full batch.
  [[nodiscard]] std::int64_t batch_messages() const;
  /// Messages that are granted at a time: fewer than a full batch after the destination took only a
  /// part, or asked more than once in a row to be spared; each batch it takes whole allows more.
  [[nodiscard]] std::int64_t granted_messages() const;
  /// How much memory its next batch wants.
  [[nodiscard]] std::int64_t batch_bytes() const;
  /// Waits because nothing answered; `host_works` may help.
  [[nodiscard]] bool waits_for_host() const {
    return state_ == State::kBackoff && connection_failed_ && !woken_;
  }
  /// Waits because there were no credentials, or none that were taken; `keys_work` may help.
  [[nodiscard]] bool waits_for_keys() const {
    return state_ == State::kBackoff && !woken_ &&
           (without_keys_ || last_failure_ == FailureClass::kCredentials);
  }

  /// The durable end from which on this export wants to hear of it at once; max if it need not.
  [[nodiscard]] SequenceNumber wake_end() const;
  /// It wants to hear of it at once when the oldest message lies beyond this.
  [[nodiscard]] SequenceNumber wake_oldest() const { return std::max(next_, oldest_); }
  /// When it wants to see the end again at the latest if data arrived, to know how long they wait;
  /// max if ages do not matter.
  [[nodiscard]] Instant look_again() const;

  /// As it is to be saved. `revision` tells whether something changed since.
  [[nodiscard]] stream::Cursor cursor() const;
  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  /// False while it waits for a start beyond the end: saving that would move the stream's numbers.
  [[nodiscard]] bool worth_saving() const { return next_ <= end_; }

  [[nodiscard]] model::ExportStatus status() const;
  [[nodiscard]] const std::string& broken() const { return broken_; }
  [[nodiscard]] FailureClass last_failure() const { return last_failure_; }
  [[nodiscard]] std::int64_t consecutive_failures() const { return consecutive_failures_; }
  [[nodiscard]] std::optional<Instant> retry_at() const { return retry_at_; }
  [[nodiscard]] std::optional<Instant> ready_since() const { return ready_since_; }
  [[nodiscard]] bool paused() const { return paused_; }
  /// Refused for good and dropped.
  [[nodiscard]] std::int64_t skipped_messages() const { return skipped_; }
  /// Refused for good and kept as dead letters.
  [[nodiscard]] std::int64_t set_aside_messages() const { return set_aside_; }
  /// Passed without being sent: removed by retention, or moved past by a person.
  [[nodiscard]] std::int64_t lost_messages() const { return lost_; }
  [[nodiscard]] bool resending() const { return !resend_.empty(); }

 private:
  // The end of the log as it was noticed at some instant: messages below `end` and not below the
  // previous mark's have been waiting since about then.
  struct Mark {
    SequenceNumber end;
    Instant at;
  };
  static constexpr std::size_t kMarksMax = 64;
  static constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

  void refresh(Instant now);
  [[nodiscard]] State settle_state(Instant now);
  [[nodiscard]] bool eligible(Instant now) const;
  [[nodiscard]] std::int64_t waiting() const { return end_ - tried_end_; }
  [[nodiscard]] std::optional<Duration> interval() const;
  void note_arrivals(SequenceNumber end, Instant now);
  void forget_marks();
  void wake(Instant now);
  void reposition(std::int64_t start);
  void place(SequenceNumber next);
  [[nodiscard]] std::int64_t undelivered_below(SequenceNumber number) const;
  std::int64_t drop_below(SequenceNumber oldest);
  void forgive();
  void forget_failures();
  void shrink(std::int64_t sent);
  void grow();
  void move_position(SequenceNumber next);
  void settle_answer(const Delivery& delivery, Instant now, Settled& settled);
  std::vector<SequenceNumber> apply_verdicts(const Delivery& delivery, Settled& settled);
  void pass_new(const Delivery& delivery, std::vector<SequenceNumber> failed, Settled& settled);
  void pass_resent(const Delivery& delivery, const std::vector<SequenceNumber>& failed,
                   Settled& settled);
  void failed(const Delivery& delivery, FailureClass failure, const std::string& error, Instant now,
              Settled& settled);

  model::ExportConfig config_;
  Timing timing_;
  Backoff backoff_;
  Destination::Limits limits_;
  std::string broken_ = "its destination has not been made yet";

  State broken_as_ = State::kBroken;
  State state_ = State::kBroken;
  bool in_flight_ = false;
  bool paused_ = false;
  std::uint64_t generation_ = 1;
  std::uint64_t revision_ = 0;
  std::optional<Instant> retry_at_;
  std::optional<Instant> ready_since_;
  std::int64_t bytes_needed_ = 0;
  std::int64_t granted_max_ = kNoLimit;  // while the destination is spared

  bool fresh_ = true;  // no log seen since it was placed: what is gone already was never ours
  SequenceNumber oldest_;
  SequenceNumber end_;
  SequenceNumber next_;
  SequenceNumber tried_end_;            // nothing from here on was ever sent
  std::vector<SequenceNumber> resend_;  // ascending, all in [next_, tried_end_)
  std::deque<Mark> marks_;
  std::optional<Instant> looked_at_;

  std::int64_t consecutive_failures_ = 0;
  FailureClass last_failure_ = FailureClass::kNone;
  bool connection_failed_ = false;
  bool without_keys_ = false;
  bool woken_ = false;
  std::int64_t start_ = 0;
  std::int64_t exported_messages_ = 0;
  std::int64_t exported_bytes_ = 0;
  std::int64_t last_export_ms_ = 0;
  std::string error_message_;
  std::int64_t skipped_ = 0;
  std::int64_t set_aside_ = 0;
  std::int64_t lost_ = 0;
};

}  // namespace weir::exporter
