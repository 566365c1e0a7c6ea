#pragma once

#include "base/byte_buffer.h"
#include "base/clock.h"
#include "base/executor.h"
#include "protocol/messages.h"
#include "server/appends.h"
#include "server/instruments.h"
#include "server/loop.h"
#include "server/peer.h"
#include "server/read_answer.h"
#include "server/server.h"
#include "server/wait_list.h"
#include "stream/stream.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weir::server {

class ReaderPool;

/// Where answers that are not taken yet are counted (reliability.md R1, R3).
class AnswerRoom {
 public:
  virtual ~AnswerRoom() = default;
  /// Bytes that may still be answered, for all clients together. 0 or less: wait.
  [[nodiscard]] virtual std::int64_t left() const = 0;
  [[nodiscard]] virtual std::int64_t whole() const = 0;
  /// Counts an answer that is being made and is in no output yet; negative gives back.
  virtual void reserve(std::int64_t bytes) = 0;
  /// An answer was added to the peer's output; a large one is sent before the turn ends.
  virtual void added(PeerId peer) = 0;
};

/// ReadMessages: at once where the messages are in memory, on a reader thread where the disk is
/// needed, later where they are yet to come. A waiting read holds up nothing.
///
/// Threads: core.
class Reads {
 public:
  struct Environment {
    Loop& loop;
    Clock& clock;
    Peers& peers;
    AnswerRoom& room;
    ReaderPool& pool;
    Instruments& instruments;
    const Options& options;
  };
  explicit Reads(Environment environment) : environment_(environment) {}
  ~Reads();

  Verdict start(Peer& peer, const protocol::ReadRequest& request, const stream::Stream& stream);

  /// Something happened that waiting reads may care about. They are looked at by `settle`.
  void stream_moved(const stream::Stream& stream);
  void stream_removed(StreamId id);
  void room_freed();
  void peer_gone(const Peer& peer);
  /// Answers what can be answered by now. Once per turn.
  void settle();
  /// Answers every waiting read with ServerTimeout (S5).
  void fail_all();

  /// Waiting reads. Threads: any.
  [[nodiscard]] std::int64_t parked() const { return parked_.load(std::memory_order_relaxed); }

 private:
  struct PoolRead;
  enum class Outcome : std::uint8_t {
    kAnswered,
    kShort,   // wait until the stream ends at `needed_end`
    kNoRoom,  // wait until answers were taken
    kPool,    // a reader thread has it
  };

  Verdict park(Peer& peer, ParkedRead read, SequenceNumber needed_end);
  void starve(Peer& peer, ParkedRead read);
  WaitList::Id insert(Peer& peer, ParkedRead read, SequenceNumber needed_end);
  void took(const ParkedRead& read);

  Outcome attempt(Peer& peer, const ParkedRead& read, SequenceNumber& needed_end);
  Outcome attempt_inline(Peer& peer, const ParkedRead& read, ReadPlan plan,
                         SequenceNumber& needed_end);
  Outcome attempt_on_pool(Peer& peer, const ParkedRead& read, ReadPlan plan);
  void pool_done(PoolRead& job);
  void try_again(ParkedRead read);
  void wait_again(Peer& peer, ParkedRead read, Outcome outcome, SequenceNumber needed_end);
  void retry_starved();
  void release(Peer& peer, ParkedRead& read);

  void answer(Peer& peer, const ParkedRead& read, protocol::Status status, std::string_view text);
  void answer_error(Peer& peer, const ParkedRead& read, const Error& error);
  void answer_too_large(Peer& peer, const ParkedRead& read);
  void set_timer();
  void expire();

  Environment environment_;
  WaitList waiting_;
  struct Moved {
    StreamId stream;
    SequenceNumber end;
  };
  std::vector<Moved> moved_;
  std::vector<WaitList::Id> starved_;  // there is enough to read, but no room for the answer
  bool look_at_starved_ = false;
  Loop::TimerId timer_ = 0;
  Instant timer_at_ = Instant::max();
  std::atomic<std::int64_t> parked_{0};
};

}  // namespace weir::server
