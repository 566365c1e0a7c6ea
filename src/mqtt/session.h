#pragma once

#include "base/backoff.h"
#include "base/byte_buffer.h"
#include "mqtt/client.h"
#include "mqtt/outgoing.h"
#include "mqtt/packets.h"
#include "mqtt/unacknowledged.h"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace weir::mqtt {

/// Messages sent and not answered, whatever more the broker would take.
inline constexpr std::size_t kWindowMax = 1'000;
/// No message is written into the output while it holds this much: the socket is slower than the
/// owner.
inline constexpr std::size_t kOutputBytesMax = std::size_t{256} * 1024;
/// What a waiting message costs beside its bytes.
inline constexpr std::size_t kMessageOverheadBytes = 128;
/// Filters in one SUBSCRIBE: AWS IoT Core takes no more.
inline constexpr std::size_t kFiltersInPacketMax = 8;
/// A connection that lived this long was a good one: the next failure waits `backoff_min` again.
inline constexpr Duration kSteadyAfter = std::chrono::seconds(10);

/// What a client does about its broker: greet, subscribe, keep alive, acknowledge, publish, come
/// back. No input, no output, no clock: whoever owns the socket tells it what happened and when,
/// and sends what `output` holds.
///
/// A life is: `connection_due` → `begin` → `on_open` → bytes both ways → `on_closed` or `on_lost`,
/// or the session itself has enough; then `open()` is false, the connection is to be closed once
/// the output was tried, and the next one is due at `next_event`.
///
/// Threads: one, but for `admit`. The listener is called from within; it must not call the session.
class Session {
 public:
  enum class State : std::uint8_t {
    kWaiting,    ///< no connection; the next try has its time
    kOpening,    ///< the owner of the socket resolves, connects, shakes hands
    kGreeting,   ///< CONNECT is under way
    kConnected,  ///< CONNACK said yes
    kStopped,
  };

  /// `listener` must outlive the session.
  Session(Options options, Listener& listener, Instant now);

  [[nodiscard]] State state() const { return state_; }
  /// There is a connection that is to be kept.
  [[nodiscard]] bool open() const {
    return state_ == State::kGreeting || state_ == State::kConnected;
  }
  [[nodiscard]] bool connection_due(Instant now) const {
    return state_ == State::kWaiting && now >= next_try_;
  }

  /// The try begins; it has `connect_timeout` until CONNACK.
  void begin(Instant now);
  /// Bytes can go both ways. `password` is none if there is no password file.
  void on_open(Instant now, const std::optional<std::string>& password);
  /// Takes whole packets from the front of what was received; how many bytes is the result. What
  /// is left belongs to the next call, longer.
  std::size_t on_bytes(Instant now, Bytes received);
  /// How large the buffer for received bytes must be to hold the packet that has begun; 0: any.
  [[nodiscard]] std::size_t bytes_needed() const { return bytes_needed_; }
  /// False: the owner has so much to acknowledge that the socket is not to be read. A broker
  /// of 3.1.1 is held back by nothing else; one of MQTT 5 should know when to wait.
  [[nodiscard]] bool reading_wanted() const;
  /// The other side closed the connection.
  void on_closed(Instant now);
  /// The connection failed, or could not be made.
  void on_lost(Instant now, const Error& why);
  void on_time(Instant now);
  /// When `on_time`, or a new connection, is due; `Instant::max()`: never.
  [[nodiscard]] Instant next_event() const;

  /// What is to be sent. Stays good after the session has given up a connection, for its last
  /// words, until `begin`.
  [[nodiscard]] Bytes output() const { return output_.bytes().subspan(output_begin_); }
  /// The first bytes of `output` are on their way.
  void on_sent(Instant now, std::size_t bytes);

  /// Whether this message may be given to `publish`; if so it has its share of the waiting bytes.
  /// Threads: any.
  bool admit(std::string_view topic, std::size_t payload_bytes);
  void publish(std::uint64_t token, std::string topic, std::string payload);
  void acknowledge(const std::vector<Receipt>& receipts);
  /// Says good-bye to the broker, if there is one. No call of the listener from here on.
  void stop();

 private:
  struct Subscription {
    std::uint16_t packet_id = 0;
    std::vector<std::string> filters;
    bool again = false;  ///< they were refused before
  };

  Decoded<void> take(const PacketView& packet);
  Decoded<void> take_greeting(const PacketView& packet);
  Decoded<void> take_connack(const PacketView& packet);
  Decoded<void> take_publish(const PacketView& packet);
  Decoded<void> take_puback(const PacketView& packet);
  Decoded<void> take_pubrel(const PacketView& packet);
  Decoded<void> take_suback(const PacketView& packet);
  Decoded<void> judge_filter(const Subscription& subscription, std::size_t index,
                             std::uint8_t reason);
  Decoded<void> take_disconnect(const PacketView& packet);
  Decoded<void> take_too_large(const Split& split, Bytes received, std::size_t& taken);
  Decoded<void> note_arrival(const Publish& publish);
  Decoded<void> split_off(Bytes received, std::size_t& taken);

  void end(const Error& why);
  void connected(const Connack& connack);
  void subscribe(const std::vector<std::string>& filters, bool again);
  void send_waiting();
  void answer(std::uint64_t token, std::size_t cost, std::uint8_t reason, std::string_view text);
  [[nodiscard]] std::size_t output_bytes() const { return output_.size() - output_begin_; }
  [[nodiscard]] Instant next_ping() const;
  [[nodiscard]] Instant ping_deadline() const;
  [[nodiscard]] Duration patience() const { return keep_alive_ * 3 / 4; }
  [[nodiscard]] Error error(std::string_view what) const;

  const Options options_;
  const std::string broker_;  ///< "host:port"
  Listener& listener_;
  State state_ = State::kWaiting;
  Backoff backoff_;
  Instant now_;  ///< as the last call said
  Instant next_try_;
  Instant deadline_;  ///< of the try
  Instant connected_at_;
  std::uint64_t connection_ = 0;

  // Of this connection.
  Duration keep_alive_{0};
  Instant last_received_;
  Instant last_sent_;
  std::optional<Instant> ping_sent_;
  std::size_t window_ = kWindowMax;
  std::uint8_t maximum_qos_ = 2;
  std::vector<Subscription> subscriptions_;  ///< not answered
  Instant subscribe_deadline_;
  std::vector<std::string> refused_;  ///< filters to be tried again
  Instant refused_retry_;
  Unacknowledged unacknowledged_;
  std::uint64_t skip_bytes_ = 0;  ///< the rest of a packet that is too large
  std::size_t bytes_needed_ = 0;
  bool arrived_ = false;
  std::optional<Error> goodbye_;  ///< the broker's

  // Across connections.
  std::string client_id_;
  Outgoing outgoing_;
  ByteBuffer output_;
  std::size_t output_begin_ = 0;
  std::atomic<std::size_t> waiting_bytes_{0};
  std::atomic<std::size_t> broker_packet_bytes_max_{0};  ///< as last heard
};

}  // namespace weir::mqtt
