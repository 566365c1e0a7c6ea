#pragma once

#include "base/byte_buffer.h"
#include "base/clock.h"
#include "server/loop.h"
#include "server/peer.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::server {

class Sessions;

/// One connection: its socket, what has been received and not taken, what has been answered and
/// not sent. Idle ones own no buffer. Threads: core.
class Session final : public Loop::Handler {
 public:
  Session(Sessions& owner, int descriptor, std::string from, PeerId id, std::uint64_t number,
          Peer::Shared& shared)
      : socket(descriptor),
        serial(number),
        source(std::move(from)),
        peer(id, number, shared),
        owner_(owner) {}

  void ready(std::uint32_t events) override;

  [[nodiscard]] Bytes input() const { return in.bytes().subspan(in_begin); }
  [[nodiscard]] std::size_t unsent() const { return out.size() - out_sent; }

  int socket;
  std::uint64_t serial;
  std::string source;  ///< the client's address
  Peer peer;

  ByteBuffer in;             ///< received and not taken: part of a frame, or all of a pause
  std::size_t in_begin = 0;  ///< what stands before is taken
  std::size_t in_needed = 0;
  ByteBuffer out;
  std::size_t out_sent = 0;
  std::int64_t charged_in = 0;  ///< counted in the budgets
  std::int64_t charged_out = 0;

  Instant accepted_at;
  Instant in_progress_at;
  Instant out_progress_at;
  Instant busy_since;
  Instant drain_until;

  std::uint32_t interest = 0;
  bool out_stuck = false;    ///< the socket did not take all of `out` at once
  bool was_busy = false;     ///< since `busy_since`
  bool touched = false;      ///< to be looked at when the turn ends
  bool resuming = false;     ///< its input is offered again before the turn ends
  bool watched = false;      ///< has a deadline
  bool handshaking = true;   ///< counts against unauthenticated_connections_max
  bool input_ended = false;  ///< the client sends nothing more
  bool half_closed = false;  ///< we send nothing more; what still comes is thrown away
  bool waits_for_budget = false;
  bool gone = false;

 private:
  Sessions& owner_;
};

}  // namespace weir::server
