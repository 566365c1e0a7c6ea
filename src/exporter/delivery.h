#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "exporter/destination.h"
#include "stream/stream.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::exporter {

class Lookahead;
class Rest;

/// What an `Exporter` wants delivered next.
struct Grant {
  /// Goes up when the export is redefined; an answer to an older generation moves nothing.
  std::uint64_t generation = 0;
  /// The first number to read.
  SequenceNumber from;
  /// Not empty: resend only these numbers (ascending) and nothing new.
  std::vector<SequenceNumber> only;
  std::int64_t messages_max = 1;
};

/// How long a worker stays with one export. Fast answers are worth it: nobody has to be woken
/// between two batches, and the next one can be made ready beside the one that is under way.
struct Stay {
  std::int64_t batches_max = 1;
  /// No batch is begun, or made ready, when this much time has passed.
  Duration at_most{0};
  /// Memory for a second batch is set aside: it may be made ready while the first is delivered.
  bool looks_ahead = false;
};

/// One delivery, or one visit to an idle destination, as a worker gets it.
struct Job {
  std::uint64_t id = 0;
  /// Only `Destination::on_idle` is called; nothing is read or delivered, there is no grant.
  bool idle_visit = false;
  /// Only `Destination::farewell` is called, with `left_behind` or what is found in `log`.
  bool farewell = false;
  std::shared_ptr<Farewell> left_behind;
  /// Before anything is delivered `Destination::moved` is called,
  bool moved = false;
  /// or `Destination::forgive_refusals`.
  bool forgive_refusals = false;
  /// Of an idle visit: instead of `on_idle`, `Destination::passed` is called with `grant.from`.
  bool passed = false;
  std::string note;
  std::string stream_name;
  std::string identifier;
  Grant grant;
  std::shared_ptr<stream::LogReader> log;
  std::shared_ptr<Destination> destination;
  /// Memory set aside for the batch. One message alone may be larger than the destination's
  /// `batch_bytes_max`, but never than this; then the delivery says how much it needs.
  std::int64_t reserved_bytes = 0;
  /// Set when the whole budget is reserved: then any message fits.
  bool may_exceed_reservation = false;
  /// Only with a destination that prepares, and never for a resend.
  Stay stay;
  std::stop_token stop;
};

/// What became of a `Job`.
struct Delivery {
  enum class Kind : std::uint8_t {
    kAnswered,     ///< the destination answered for `sent` (nothing to send: `sent` is empty)
    kReadFailed,   ///< the log could not be read; `outcome` says why
    kNeedsBytes,   ///< the first message needs `bytes_needed` of memory; nothing was sent
    kInterrupted,  ///< stopped before the destination took the batch
  };
  struct Sent {
    SequenceNumber sequence;
    std::int64_t bytes = 0;
  };
  Kind kind = Kind::kAnswered;
  std::uint64_t generation = 0;
  std::vector<Sent> sent;  ///< ascending
  /// How many of `sent` went in whole batches before the last one: all of these were delivered.
  std::int64_t sent_before = 0;
  SequenceNumber next;    ///< every wanted number below this was looked at
  SequenceNumber oldest;  ///< of the log, after reading
  std::int64_t bytes_needed = 0;
  Destination::Limits limits;
  Outcome outcome;
  /// The destination's, after the job.
  Instant idle_deadline = Instant::max();
};

/// Reads the messages a job names, delivers them once and says what became of them; or visits the
/// idle destination.
///
/// With `job.stay` it goes on with the next full batch as long as all before was delivered, and
/// answers for all of them together, as if they had been one; the first that was not wholly
/// delivered is the last. `lookahead` and `rest` may be null; with `rest` the worker rests after
/// each batch.
///
/// Threads: a worker's. Blocks: on the log's disk and on the destination. Never throws.
Delivery run_job(const Job& job, Lookahead* lookahead = nullptr, const Rest* rest = nullptr);

}  // namespace weir::exporter
