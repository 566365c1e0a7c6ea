// What each packet of the broker does to a session.

#include "base/check.h"
#include "base/log.h"
#include "mqtt/reasons.h"
#include "mqtt/session.h"

#include <algorithm>
#include <fmt/format.h>

namespace weir::mqtt {
namespace {

tl::unexpected<Violation> violation(std::uint8_t reason, std::string what) {
  return tl::unexpected(Violation{reason, std::move(what)});
}

/// Where the beginning of a PUBLISH must end, however long its topic is.
constexpr std::size_t kPublishHeadBytesMax = 5 + 2 + 0xFFFF + 2;

std::string with_text(std::string words, std::string_view text) {
  if (!text.empty()) words += fmt::format(", in its words: {}", log::escaped(text));
  return words;
}

/// What was said instead of CONNACK, for people.
std::string not_mqtt_words(Bytes received, bool tls) {
  const auto first = std::to_integer<unsigned>(received[0]);
  if (!tls && (first == 0x15 || first == 0x16)) {
    return "answers in TLS: switch TLS on for this broker";
  }
  constexpr std::size_t kShown = 24;
  return fmt::format("does not speak MQTT; its answer begins with '{}'",
                     log::escaped(as_text(received.first(std::min(kShown, received.size())))));
}

}  // namespace

std::size_t Session::on_bytes(Instant now, Bytes received) {
  if (!open() || received.empty()) return received.size();
  now_ = now;
  last_received_ = now;
  ping_sent_.reset();
  arrived_ = false;
  std::size_t taken = 0;
  const Decoded<void> done = split_off(received, taken);
  if (std::exchange(arrived_, false)) listener_.on_arrivals_end();
  if (!done) {
    if (state_ == State::kConnected) {
      encode_disconnect(output_, options_.version, done.error().reason);
    }
    end(error(done.error().what));
    return received.size();
  }
  if (goodbye_) {
    end(*std::exchange(goodbye_, std::nullopt));
    return received.size();
  }
  return taken;
}

Decoded<void> Session::split_off(Bytes received, std::size_t& taken) {
  while (!goodbye_ && taken < received.size()) {
    const Bytes left = received.subspan(taken);
    if (skip_bytes_ > 0) {
      const auto skipped = std::min<std::uint64_t>(skip_bytes_, left.size());
      skip_bytes_ -= skipped;
      taken += static_cast<std::size_t>(skipped);
      continue;
    }
    if (state_ == State::kGreeting) {
      const auto type = static_cast<PacketType>(std::to_integer<unsigned>(left[0]) >> 4U);
      if (type != PacketType::kConnack && type != PacketType::kDisconnect &&
          type != PacketType::kAuth) {
        return violation(kProtocolError, not_mqtt_words(left, options_.tls));
      }
    }
    const Split split = split_packet(left);
    if (split.kind == Split::Kind::kBadLength) {
      return violation(kMalformedPacket, state_ == State::kGreeting
                                             ? not_mqtt_words(left, options_.tls)
                                             : "sent a packet whose length is not valid");
    }
    if (split.packet_bytes > options_.packet_bytes_max) {
      const std::size_t before = taken;
      auto done = take_too_large(split, left, taken);
      if (!done || taken == before) return done;
      continue;
    }
    bytes_needed_ = split.kind == Split::Kind::kNeedMore ? split.packet_bytes : 0;
    if (split.kind == Split::Kind::kNeedMore) return {};
    if (auto done = take(split.packet); !done) return done;
    taken += split.packet.bytes;
  }
  return {};
}

Decoded<void> Session::take(const PacketView& packet) {
  if (state_ == State::kGreeting) return take_greeting(packet);
  switch (packet.type) {
    case PacketType::kPublish:
      return take_publish(packet);
    case PacketType::kPuback:
      return take_puback(packet);
    case PacketType::kPubrel:
      return take_pubrel(packet);
    case PacketType::kSuback:
      return take_suback(packet);
    case PacketType::kPingresp:
      return decode_pingresp(packet);
    case PacketType::kDisconnect:
      if (options_.version == Version::k5) return take_disconnect(packet);
      break;
    default:
      break;
  }
  return violation(kProtocolError, fmt::format("sent {}, which has no place in this conversation",
                                               packet_name(packet.type)));
}

Decoded<void> Session::take_greeting(const PacketView& packet) {
  if (packet.type == PacketType::kConnack) return take_connack(packet);
  if (packet.type == PacketType::kDisconnect && options_.version == Version::k5) {
    return take_disconnect(packet);
  }
  return violation(kProtocolError,
                   fmt::format("answered CONNECT with {}", packet_name(packet.type)));
}

Decoded<void> Session::take_connack(const PacketView& packet) {
  const auto decoded = decode_connack(packet, options_.version);
  if (!decoded) return tl::unexpected(decoded.error());
  const Connack& connack = *decoded;
  if (connack.reason != 0) {
    std::string words = fmt::format("refused the connection: {}",
                                    refusal_words(connack.answered_in, connack.reason));
    if (!connack.server_reference.empty()) {
      words += fmt::format(" to {}", log::escaped(connack.server_reference));
    }
    goodbye_ = error(with_text(std::move(words), connack.text));
    return {};
  }
  if (connack.answered_in != options_.version) {
    return violation(kProtocolError, "agreed in the words of MQTT 3.1.1 to speak MQTT 5");
  }
  connected(connack);
  return {};
}

void Session::connected(const Connack& connack) {
  state_ = State::kConnected;
  connected_at_ = now_;
  keep_alive_ = options_.keep_alive;
  if (connack.server_keep_alive_s) keep_alive_ = std::chrono::seconds(*connack.server_keep_alive_s);
  window_ = std::min<std::size_t>(connack.receive_maximum, kWindowMax);
  maximum_qos_ = connack.maximum_qos;
  broker_packet_bytes_max_.store(connack.packet_bytes_max, std::memory_order_relaxed);
  if (!connack.assigned_client_id.empty()) client_id_ = connack.assigned_client_id;
  if (connack.session_expiry_s == 0U && options_.session_expiry > Duration{0}) {
    log::warn(
        "The broker forgets this client when the connection ends; what is published meanwhile "
        "does not come.",
        {{"broker", broker_}, {"client_id", client_id_}});
  }
  outgoing_.begin_connection(connack.session_present);
  listener_.on_connected(connack.session_present);
  subscribe(options_.filters, false);
  send_waiting();
}

Decoded<void> Session::take_publish(const PacketView& packet) {
  const auto publish = decode_publish(packet, options_.version);
  if (!publish) return tl::unexpected(publish.error());
  if (publish->qos > 0) {
    // Under 3.1.1 a broker may repeat itself within a connection; the owner has that message.
    if (options_.version == Version::k311 && publish->duplicate &&
        unacknowledged_.contains(publish->packet_id)) {
      return {};
    }
    if (auto noted = note_arrival(*publish); !noted) return noted;
  }
  arrived_ = true;
  listener_.on_arrival({publish->topic,
                        publish->payload,
                        publish->retained,
                        publish->duplicate,
                        {connection_, publish->packet_id}});
  return {};
}

Decoded<void> Session::note_arrival(const Publish& publish) {
  if (unacknowledged_.contains(publish.packet_id)) {
    return violation(kProtocolError,
                     fmt::format("used packet identifier {} for two messages", publish.packet_id));
  }
  unacknowledged_.add(publish.packet_id, publish.qos);
  return {};
}

Decoded<void> Session::take_too_large(const Split& split, Bytes received, std::size_t& taken) {
  const auto first = std::to_integer<unsigned>(received[0]);
  const bool message = static_cast<PacketType>(first >> 4U) == PacketType::kPublish;
  if (options_.version == Version::k5 || !message || state_ != State::kConnected) {
    return violation(kPacketTooLarge, fmt::format("sent a packet of {} bytes, and {} were allowed",
                                                  split.packet_bytes, options_.packet_bytes_max));
  }
  // Ending the connection would bring the same message again and again: thrown away, it is lost,
  // and the next one flows.
  const std::size_t head = std::min(split.packet_bytes, kPublishHeadBytesMax);
  bytes_needed_ = head;
  if (received.size() < head) return {};
  bytes_needed_ = 0;
  const auto publish =
      decode_publish_beginning(static_cast<std::uint8_t>(first & 15U),
                               received.subspan(split.head_bytes, head - split.head_bytes));
  if (!publish) return violation(kMalformedPacket, "sent PUBLISH that is too large and damaged");
  if (publish->qos > 0 && !unacknowledged_.contains(publish->packet_id)) {
    if (auto noted = note_arrival(*publish); !noted) return noted;
    (void)unacknowledged_.acknowledge(publish->packet_id);
  }
  log::error("A message was larger than the limit of this client and was thrown away.",
             {{"broker", broker_},
              {"topic", publish->topic},
              {"bytes", split.packet_bytes},
              {"bytes_max", options_.packet_bytes_max}});
  listener_.on_too_large(publish->topic, split.packet_bytes);
  skip_bytes_ = split.packet_bytes;
  // It goes out at once if nothing before it waits.
  acknowledge({});
  const std::size_t skipped = std::min<std::size_t>(split.packet_bytes, received.size());
  skip_bytes_ -= skipped;
  taken += skipped;
  return {};
}

Decoded<void> Session::take_puback(const PacketView& packet) {
  const auto puback = decode_acknowledgement(packet, options_.version);
  if (!puback) return tl::unexpected(puback.error());
  // Nobody waits for an answer to what we do not know; brokers are known to send such.
  if (auto message = outgoing_.answered(puback->packet_id)) {
    answer(message->token, message->topic.size() + message->payload.size() + kMessageOverheadBytes,
           puback->reason, puback->text);
    send_waiting();
  }
  return {};
}

Decoded<void> Session::take_pubrel(const PacketView& packet) {
  const auto pubrel = decode_acknowledgement(packet, options_.version);
  if (!pubrel) return tl::unexpected(pubrel.error());
  encode_acknowledgement(output_, PacketType::kPubcomp, pubrel->packet_id);
  return {};
}

Decoded<void> Session::take_suback(const PacketView& packet) {
  const auto suback = decode_suback(packet, options_.version);
  if (!suback) return tl::unexpected(suback.error());
  const auto found =
      std::find_if(subscriptions_.begin(), subscriptions_.end(),
                   [&](const Subscription& s) { return s.packet_id == suback->packet_id; });
  if (found == subscriptions_.end()) {
    return violation(kProtocolError, "sent SUBACK for a SUBSCRIBE that was not sent");
  }
  const Subscription subscription = std::move(*found);
  subscriptions_.erase(found);
  outgoing_.give_back_id(subscription.packet_id);
  if (suback->reasons.size() != subscription.filters.size()) {
    return violation(kProtocolError, "answered SUBSCRIBE with another number of filters");
  }
  for (std::size_t i = 0; i < subscription.filters.size(); ++i) {
    const auto reason = std::to_integer<std::uint8_t>(suback->reasons[i]);
    if (auto judged = judge_filter(subscription, i, reason); !judged) return judged;
  }
  return {};
}

Decoded<void> Session::judge_filter(const Subscription& subscription, std::size_t index,
                                    std::uint8_t reason) {
  constexpr std::uint8_t kRefusals = 0x80;
  constexpr std::uint8_t kQosMax = 2;
  const std::string& filter = subscription.filters[index];
  if (reason > kQosMax && reason < kRefusals) {
    return violation(kMalformedPacket, fmt::format("sent SUBACK with reason {:#04x}", reason));
  }
  if (reason >= kRefusals) {
    if (refused_.empty()) refused_retry_ = now_ + options_.backoff_max;
    refused_.push_back(filter);
    if (!subscription.again) listener_.on_filter_refused(filter, reason);
    return {};
  }
  if (reason == 0) {
    log::warn("The broker delivers without acknowledgement; messages can be lost on the way.",
              {{"broker", broker_}, {"filter", filter}});
  }
  if (subscription.again) listener_.on_filter_granted(filter);
  return {};
}

Decoded<void> Session::take_disconnect(const PacketView& packet) {
  const auto disconnect = decode_disconnect(packet);
  if (!disconnect) return tl::unexpected(disconnect.error());
  std::string words = fmt::format("disconnected us: {}", reason_with_code(disconnect->reason));
  constexpr std::uint8_t kTakenOver = 0x8E;
  constexpr std::uint8_t kAnotherServer = 0x9C;
  constexpr std::uint8_t kMoved = 0x9D;
  if (disconnect->reason == kTakenOver) {
    words += fmt::format(": another client connected with the client id '{}'; give each its own",
                         log::escaped(client_id_));
  }
  if (disconnect->reason == kAnotherServer || disconnect->reason == kMoved) {
    words += fmt::format(" to {}", log::escaped(disconnect->server_reference));
  }
  goodbye_ = error(with_text(std::move(words), disconnect->text));
  return {};
}

}  // namespace weir::mqtt
