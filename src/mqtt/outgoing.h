#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace weir::mqtt {

/// One message on its way to the broker.
struct OutgoingMessage {
  std::uint64_t token = 0;
  std::string topic;
  std::string payload;
  std::uint16_t packet_id = 0;  ///< 0: the broker's session knows nothing of it
};

/// Messages to be published with QoS 1, in order, across connections: those in front were sent in
/// this connection and wait for their answer, the others wait for the window. Threads: one.
class Outgoing {
 public:
  void add(OutgoingMessage message) { messages_.push_back(std::move(message)); }
  [[nodiscard]] std::size_t size() const { return messages_.size(); }
  [[nodiscard]] std::size_t unanswered() const { return sent_; }

  /// A connection begins: everything unanswered is sent again. With the broker's session under the
  /// identifiers it knows; without it as new.
  void begin_connection(bool session_present);

  /// The next message to send; null if there is none. Its `packet_id` is not 0 if this is a
  /// repetition.
  OutgoingMessage* next() { return sent_ < messages_.size() ? &messages_[sent_] : nullptr; }
  /// `next()` was sent under a packet id, a fresh one if it had none. An answer will come.
  void sent();
  /// Takes `next()` out: it needs no answer, or cannot be sent.
  OutgoingMessage take_next();

  /// The message that was sent under this packet id, taken out; none if there is no such message.
  std::optional<OutgoingMessage> answered(std::uint16_t packet_id);

  /// A packet id that nothing uses; gives `next()` one if it has none.
  std::uint16_t take_id();
  void give_back_id(std::uint16_t packet_id) { used_[packet_id] = false; }

 private:
  std::deque<OutgoingMessage> messages_;
  std::size_t sent_ = 0;
  std::uint16_t last_id_ = 0;
  std::bitset<65'536> used_;
};

}  // namespace weir::mqtt
