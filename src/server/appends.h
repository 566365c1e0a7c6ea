#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "protocol/messages.h"
#include "server/instruments.h"
#include "server/peer.h"
#include "stream/catalog.h"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace weir::server {

/// The open connections, as the parts that answer requests see them.
class Peers {
 public:
  virtual ~Peers() = default;
  /// Null once the connection is gone.
  virtual Peer* find(PeerId id) = 0;
  /// False while the client takes its answers more slowly than it asks.
  virtual bool has_room(PeerId id) = 0;
  /// Offers the peer its waiting input again before the turn ends.
  virtual void resume(PeerId id) = 0;
  /// Ends the connection without another answer, now or at the end of the turn.
  virtual void drop(PeerId id, CloseReason reason) = 0;
};

/// Appends between their arrival and their answer. What one turn of the loop collects is written
/// by one `commit`, which answers ordinary streams at once; the rest is answered when the disk is
/// done.
///
/// Threads: core. An append costs no allocation here once the slab has grown to the load.
class Appends {
 public:
  struct Environment {
    stream::Catalog& catalog;
    Peers& peers;
    Clock& clock;
    Instruments& instruments;
  };
  explicit Appends(Environment environment) : environment_(environment) {}

  /// Most that one connection may have waiting for the disk (reliability.md §3).
  static constexpr std::int64_t kWaitingMax = 1'000;
  static constexpr std::int64_t kWaitingBytesMax = 8 << 20;

  /// `request` points into memory that stays as it is until `commit`.
  void stage(Peer& peer, stream::Stream& stream, const protocol::AppendRequest& request);
  void commit();
  /// From the catalog's `AppendSink`.
  void done(std::uint64_t token, const Result<SequenceNumber>& outcome);

  /// How many wait for `commit`.
  [[nodiscard]] std::size_t staged() const { return staged_.size(); }

  /// Ends the connections whose appends have waited since before `since`: their clients are about
  /// to give up on the answers, and a late one would confuse them (protocol.md §1.8).
  void drop_overdue(Instant since);
  [[nodiscard]] bool any_waiting() const { return !waiting_.empty(); }

 private:
  struct Pending {
    PeerId peer;
    std::uint32_t serial = 0;  // tells this use of the slot from earlier ones
    bool live = false;
    bool owned = false;           // the id is in `own_id`, no longer in the frame
    std::string_view request_id;  // into the frame, until the commit
    std::string own_id;
    std::int64_t payload_bytes = 0;
  };
  struct Waiting {
    std::uint32_t slot;
    std::uint32_t serial;
    Instant since;
  };
  void keep_unanswered();

  Environment environment_;
  std::vector<Pending> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> staged_;
  std::size_t staged_unanswered_ = 0;
  std::deque<Waiting> waiting_;  // oldest first; answered ones leave when they reach the front
};

}  // namespace weir::server
