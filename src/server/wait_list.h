#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "server/peer_id.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::stream {
class LogReader;
}

namespace weir::server {

/// A read that waits until enough messages are there.
struct ParkedRead {
  PeerId peer;
  std::string request_id;
  std::string stream_name;
  StreamId stream;
  std::shared_ptr<stream::LogReader> log;
  SequenceNumber desired_start;
  std::int64_t count_min = 1;
  std::int64_t count_max = 1;
  Instant answer_by;        ///< the client's time limit, less the guard
  Instant deadline;         ///< when the wait list gives it up; `answer_by` unless `enough`
  bool enough = false;      ///< the messages are there; what is waited for is room for the answer
  bool holds_peer = false;  ///< the requests behind it wait for it
};

/// Long polls by stream and by deadline. Waiting costs memory and nothing else: an append looks at
/// one number, however many reads wait (reliability.md R6). Pure; threads: core.
class WaitList {
 public:
  using Id = std::uint64_t;

  /// `needed_end` is the lowest end of the stream at which the read may be satisfied.
  Id park(ParkedRead read, SequenceNumber needed_end);

  /// Takes out what may be satisfied now that `stream` ends at `end`, longest wait first within
  /// the same `needed_end`.
  std::vector<ParkedRead> take_ready(StreamId stream, SequenceNumber end);
  std::vector<ParkedRead> take_expired(Instant now);
  std::vector<ParkedRead> take_stream(StreamId stream);
  std::vector<ParkedRead> take_peer(PeerId peer);
  std::vector<ParkedRead> take_all();
  std::optional<ParkedRead> take(Id id);

  /// `Instant::max()` if nothing waits.
  [[nodiscard]] Instant next_deadline() const;
  [[nodiscard]] std::size_t size() const { return reads_.size(); }
  [[nodiscard]] bool empty() const { return reads_.empty(); }

 private:
  struct Entry {
    ParkedRead read;
    SequenceNumber needed_end;
  };
  using ByEnd = std::set<std::pair<SequenceNumber, Id>>;

  template <class Ids>
  std::vector<ParkedRead> take_each(const Ids& ids);

  Id next_id_ = 1;
  std::unordered_map<Id, Entry> reads_;
  std::unordered_map<StreamId, ByEnd> by_stream_;
  std::set<std::pair<Instant, Id>> by_deadline_;
  std::set<std::pair<PeerId, Id>> by_peer_;
};

}  // namespace weir::server
