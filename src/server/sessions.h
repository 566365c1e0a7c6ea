#pragma once

#include "base/clock.h"
#include "server/appends.h"
#include "server/instruments.h"
#include "server/loop.h"
#include "server/peer.h"
#include "server/reads.h"
#include "server/server.h"
#include "server/session.h"
#include "server/spare_buffers.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir::server {

/// All connections: moves bytes between sockets and peers, within the budgets and deadlines.
///
/// A turn of the loop receives once from every ready socket, into one shared arena, so that
/// requests are handled where they were received; at its end everything it answered is sent, once
/// per connection.
///
/// Threads: core, except `count`.
class Sessions final : public AnswerRoom {
 public:
  struct Environment {
    Loop& loop;
    Clock& clock;
    Instruments& instruments;
    const Options& options;
    Peer::Shared& shared;
    Appends& appends;
    std::function<void(const Peer&)> peer_gone;
    std::function<void()> room_freed;
  };
  explicit Sessions(Environment environment);
  ~Sessions() override;

  /// Takes over an accepted socket, or closes it when there are too many.
  void accept(int socket, std::string source);

  Peer* find(PeerId id);
  ByteBuffer& output(PeerId id);
  bool has_room(PeerId id);
  void resume(PeerId id);
  void drop(PeerId id, CloseReason reason);
  [[nodiscard]] const std::string& source(PeerId id) const;

  [[nodiscard]] std::int64_t left() const override;
  [[nodiscard]] std::int64_t whole() const override;
  void reserve(std::int64_t bytes) override;
  void added(PeerId peer) override;

  /// Offers paused peers that were resumed their input again; false if there were none.
  bool offer_resumed();
  /// Sends what the turn answered, closes what has ended, sets what to wait for.
  void finish_turn();

  /// Takes nothing more from any client; each connection is closed when its answers are sent.
  void stop(Instant drain_until);
  void drop_all();
  /// Threads: any.
  [[nodiscard]] std::int64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  friend class Session;

  Session* session(PeerId id);
  Instant now();
  void touch(Session& s);
  void watch(Session& s);

  void ready(Session& s, std::uint32_t events);
  void receive(Session& s);
  void receive_large(Session& s);
  void receive_end(Session& s, long received);
  void throw_away(Session& s);
  MutableBytes arena_room(std::size_t bytes);
  void offer(Session& s, Bytes input);
  void offer_kept(Session& s);
  void taken(Session& s, const Peer::Taken& taken, Bytes rest);
  void refuse_for_memory(Session& s);
  bool charge_large(Session& s, std::size_t bytes);

  void flush(Session& s);
  void finish(Session& s);
  void close_if_done(Session& s);
  void half_close(Session& s);
  void set_interest(Session& s);
  void account(Session& s);
  void bury(Session& s, CloseReason reason);
  void free_oldest_handshake();

  void arm_tick();
  void tick();
  bool check_deadlines(Session& s, Instant at);

  Environment environment_;
  std::int64_t connections_max_;
  std::unique_ptr<std::byte[]> arena_;
  std::size_t arena_used_ = 0;
  SpareBuffers spare_;

  struct Slot {
    std::unique_ptr<Session> session;
    std::uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::unique_ptr<Session>> graveyard_;  // until the turn ends
  std::map<std::uint64_t, Session*> handshaking_;    // oldest first
  std::uint64_t next_serial_ = 1;
  std::atomic<std::int64_t> count_{0};

  std::vector<Session*> touched_;
  std::vector<PeerId> resuming_;
  std::vector<PeerId> watched_;
  std::vector<PeerId> budget_waiters_;
  PeerId overrun_holder_;  // may go beyond the request budget, so that one frame always gets done
  std::int64_t request_used_ = 0;
  std::int64_t response_used_ = 0;
  std::uint64_t received_bytes_ = 0;  // of this turn
  std::uint64_t sent_bytes_ = 0;

  Loop::TimerId tick_timer_ = 0;
  Instant turn_now_{};
  bool stopping_ = false;
  Instant stop_drain_until_{};
};

}  // namespace weir::server
