#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "stream/stream.h"

#include <limits>
#include <memory>
#include <unordered_map>
#include <vector>

namespace weir::exporter {

/// Decides which moves of streams the scheduler has to hear about, so that a hundred thousand
/// appends a second to a stream whose export is busy (or that has none) wake nobody.
///
/// Threads: any. Costs one short lock when nobody is to be woken.
class MoveFilter {
 public:
  static constexpr SequenceNumber kNever{std::numeric_limits<std::int64_t>::max()};

  /// What the exports of one stream want to hear of.
  struct Interest {
    SequenceNumber end = kNever;     ///< the durable end reached this
    SequenceNumber oldest = kNever;  ///< the oldest message lies beyond this: exports lose some
    Instant look_again = Instant::max();  ///< anything that happens from then on
    friend bool operator==(const Interest&, const Interest&) = default;
  };

  /// The next move of the stream is reported at once; then `interest` says which ones are.
  void add(StreamId id, std::shared_ptr<stream::LogReader> log);
  void remove(StreamId id);

  /// Sets what to report from now on. Requires: the caller looks at the log *after* this returns;
  /// a move that happened before may go unreported.
  void set_interest(StreamId id, const Interest& interest);

  /// Tells that a stream moved. True if somebody has to call `take` now.
  [[nodiscard]] bool moved(StreamId id, Instant now);

  /// The streams to look at, each once.
  [[nodiscard]] std::vector<StreamId> take();

 private:
  struct Entry {
    std::shared_ptr<stream::LogReader> log;
    Interest interest;
    bool reported = false;
  };
  Mutex mutex_;
  std::unordered_map<StreamId, Entry> entries_ WEIR_GUARDED_BY(mutex_);
  std::vector<StreamId> reported_ WEIR_GUARDED_BY(mutex_);  // at most one for each stream
};

}  // namespace weir::exporter
