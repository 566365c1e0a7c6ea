#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "protocol/messages.h"
#include "server/instruments.h"
#include "server/peer_id.h"
#include "server/token_verdict.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weir::stream {
class Stream;
}

namespace weir::server {

class Peer;

/// What became of a request.
enum class Verdict : std::uint8_t {
  kDone,   ///< answered or under way; the next frame may begin
  kBusy,   ///< under way, and nothing behind it may begin before `Peer::finished`
  kLater,  ///< not taken; the frame is to be offered again once the peer is resumed
};

/// The server as a peer sees it.
class PeerHost {
 public:
  virtual ~PeerHost() = default;
  /// Where the peer's answers go. Valid until the next call that may answer somebody.
  virtual ByteBuffer& output(PeerId peer) = 0;
  /// False while the client takes its answers more slowly than it asks.
  virtual bool has_room(PeerId peer) = 0;
  /// Leads to `Peer::verified`, at once or later.
  virtual void authenticate(Peer& peer, std::string token) = 0;
  virtual Verdict append(Peer& peer, const protocol::AppendRequest& request) = 0;
  /// Any request but append and connect.
  virtual Verdict request(Peer& peer, protocol::Operation operation,
                          protocol::Request& request) = 0;
};

/// One client's side of the protocol: bytes in, requests out; results in, bytes out. Knows no
/// socket and no stream; it only carries, for those who do, what belongs to this client.
///
/// Threads: core. Lifetime: `Shared` and what it refers to outlive it.
class Peer {
 public:
  struct Shared {
    PeerHost& host;
    protocol::DecodeScratch& scratch;
    Instruments& instruments;
    std::size_t frame_bytes_max = 0;  ///< operation and payload, after the handshake
  };
  /// `serial` makes the client identifier unique.
  Peer(PeerId id, std::uint64_t serial, Shared& shared)
      : shared_(shared), id_(id), serial_(serial) {}

  enum class Next : std::uint8_t {
    kMore,    ///< more bytes are needed: `Taken::needed` in all, counted from the first not taken
    kPaused,  ///< the rest is to be offered again after `finished`, or when there is room
    kEnd,     ///< nothing more is read from this client; answer what is due, then close
  };
  struct Taken {
    std::size_t bytes = 0;
    Next next = Next::kMore;
    std::size_t needed = 1;
  };
  /// Takes as many whole frames from the front of `input` as can be handled now. Appends taken
  /// keep views into `input` until they are committed.
  Taken take(Bytes input);

  /// The outcome of `PeerHost::authenticate`.
  void verified(TokenVerdict verdict);
  /// The handshake took too long: tells the client, if it is not decided yet, and ends.
  void handshake_timed_out();
  /// The request that was `kBusy` is answered.
  void finished() { busy_ = false; }
  /// Nothing more is taken from this client.
  void end(CloseReason reason);

  /// Answers a request with an error, or with the success of one that returns nothing.
  void answer(protocol::Operation request, std::string_view request_id, protocol::Status status,
              std::string_view text);
  ByteBuffer& output() { return shared_.host.output(id_); }

  [[nodiscard]] PeerId id() const { return id_; }
  [[nodiscard]] bool open() const { return phase_ == Phase::kOpen || phase_ == Phase::kDiscarding; }
  [[nodiscard]] bool ended() const { return phase_ == Phase::kEnded; }
  [[nodiscard]] bool in_handshake() const { return phase_ < Phase::kOpen; }
  [[nodiscard]] bool silent() const { return phase_ == Phase::kVersion; }
  [[nodiscard]] bool busy() const { return busy_; }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] CloseReason end_reason() const { return end_reason_; }

  /// What others keep per client.
  struct Appends {
    std::int64_t waiting = 0;  ///< staged or on their way to disk
    std::int64_t waiting_bytes = 0;
  };
  struct Reads {
    std::int64_t parked = 0;
    bool under_way = false;  ///< one is with the reader threads
  };
  struct StreamCache {
    stream::Stream* stream = nullptr;
    std::uint64_t epoch = 0;  ///< good while no stream was removed since
  };
  Appends appends;
  Reads reads;
  StreamCache cache;

 private:
  enum class Phase : std::uint8_t {
    kVersion,    // the first byte
    kConnect,    // the first frame
    kVerifying,  // the token is being looked at
    kOpen,
    kDiscarding,  // the rest of a frame that was refused by its length
    kEnded,
  };
  // What became of the next bytes. `again` asks for another look at the rest.
  struct Step {
    std::size_t bytes = 0;
    bool again = false;
    Next next = Next::kMore;
    std::size_t needed = 1;
  };
  static Step consumed(std::size_t bytes) { return {bytes, true, Next::kMore, 1}; }
  static Step needs(std::size_t bytes) { return {0, false, Next::kMore, bytes}; }
  static Step ended_step() { return {0, false, Next::kEnd, 0}; }
  static Step pause() { return {0, false, Next::kPaused, 0}; }

  Step step(Bytes rest);
  Step take_version(Bytes rest);
  Step take_connect(Bytes rest);
  Step take_frame(Bytes rest);
  Step discard(Bytes rest);
  Step refuse_large(Bytes rest, std::size_t frame_bytes);
  void handle_connect(Bytes payload);
  Verdict handle(protocol::Operation operation, std::uint8_t code, Bytes payload);
  Verdict handle_append(Bytes payload);
  Verdict handle_other(protocol::Operation operation, Bytes payload);
  void handle_second_connect(Bytes payload);
  void handle_unknown(std::uint8_t code, Bytes payload);
  void reject(protocol::Operation operation, const protocol::DecodeFailure& failure);
  void refuse_connect(std::string_view request_id, protocol::Status status, std::string text);
  void connect_answer(const protocol::ConnectResponse& response, bool with_version_byte);

  // Kept between the token's arrival and the verdict on it.
  struct Handshake {
    std::string request_id;
    protocol::Version version = protocol::Version::k1_1_0;
  };

  Shared& shared_;
  std::unique_ptr<Handshake> handshake_;
  std::size_t discard_bytes_ = 0;
  PeerId id_;
  std::uint64_t serial_;
  Phase phase_ = Phase::kVersion;
  protocol::Version version_ = protocol::Version::k1_1_0;
  CloseReason end_reason_ = CloseReason::kClient;
  bool busy_ = false;
  bool paused_ = false;
};

}  // namespace weir::server
