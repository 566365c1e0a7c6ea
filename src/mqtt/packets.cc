#include "mqtt/packets.h"

#include "base/check.h"
#include "mqtt/properties.h"
#include "mqtt/reasons.h"

#include <array>
#include <fmt/format.h>

namespace weir::mqtt {
namespace {

tl::unexpected<Violation> malformed(PacketType type, std::string_view what) {
  return tl::unexpected(Violation{kMalformedPacket, fmt::format("{} {}", packet_name(type), what)});
}

tl::unexpected<Violation> against_protocol(PacketType type, std::string_view what) {
  return tl::unexpected(Violation{kProtocolError, fmt::format("{} {}", packet_name(type), what)});
}

void take_connack_property(const Property& property, Connack& connack) {
  switch (property.id) {
    case PropertyId::kReceiveMaximum:
      connack.receive_maximum = static_cast<std::uint16_t>(property.number);
      break;
    case PropertyId::kMaximumQos:
      connack.maximum_qos = static_cast<std::uint8_t>(property.number);
      break;
    case PropertyId::kMaximumPacketSize:
      connack.packet_bytes_max = property.number;
      break;
    case PropertyId::kServerKeepAlive:
      connack.server_keep_alive_s = static_cast<std::uint16_t>(property.number);
      break;
    case PropertyId::kSessionExpiry:
      connack.session_expiry_s = property.number;
      break;
    case PropertyId::kAssignedClientIdentifier:
      connack.assigned_client_id = property.text;
      break;
    case PropertyId::kReasonString:
      connack.text = property.text;
      break;
    case PropertyId::kServerReference:
      connack.server_reference = property.text;
      break;
    default:
      break;
  }
}

/// What PUBLISH begins with in both versions.
Decoded<Publish> read_publish_head(Reader& reader, std::uint8_t flags) {
  Publish publish;
  publish.qos = static_cast<std::uint8_t>((flags >> 1U) & 3U);
  publish.duplicate = (flags & 8U) != 0;
  publish.retained = (flags & 1U) != 0;
  if (publish.qos == 3) return malformed(PacketType::kPublish, "with QoS 3");
  if (publish.qos == 0 && publish.duplicate) {
    return malformed(PacketType::kPublish, "with QoS 0 that says it is a duplicate");
  }
  Bytes topic;
  if (!reader.data(topic)) return malformed(PacketType::kPublish, "whose topic is cut off");
  publish.topic = as_text(topic);
  if (!is_text(publish.topic)) {
    return malformed(PacketType::kPublish, "whose topic is not valid UTF-8");
  }
  if (publish.topic.find_first_of("+#") != std::string_view::npos) {
    return malformed(PacketType::kPublish, "with a wildcard in its topic");
  }
  if (publish.qos > 0) {
    if (!reader.two(publish.packet_id)) {
      return malformed(PacketType::kPublish, "whose packet identifier is cut off");
    }
    if (publish.packet_id == 0) {
      return against_protocol(PacketType::kPublish, "with packet identifier 0");
    }
  }
  return publish;
}

/// Flags that all packets but PUBLISH must have.
std::uint8_t fixed_flags(PacketType type) {
  const bool two = type == PacketType::kPubrel || type == PacketType::kSubscribe ||
                   type == PacketType::kUnsubscribe;
  return two ? 2 : 0;
}

Decoded<void> check_flags(const PacketView& packet) {
  if (packet.flags == fixed_flags(packet.type)) return {};
  return malformed(packet.type, fmt::format("with flags {:#x}", packet.flags));
}

std::size_t variable_bytes(std::size_t value) {
  if (value < 128) return 1;
  if (value < 16'384) return 2;
  return value < 2'097'152 ? 3 : 4;
}

void put_byte(ByteBuffer& out, unsigned value) { out.append(static_cast<std::byte>(value)); }
void put_two(ByteBuffer& out, std::uint16_t value) { store_big16(out.extend(2), value); }
void put_four(ByteBuffer& out, std::uint32_t value) { store_big32(out.extend(4), value); }
void put_variable(ByteBuffer& out, std::size_t value) {
  WEIR_CHECK(value <= kRemainingLengthMax, "a packet is larger than its length can say");
  do {
    const std::size_t low = value % 128;
    value /= 128;
    put_byte(out, static_cast<unsigned>(low | (value > 0 ? 128U : 0U)));
  } while (value > 0);
}
void put_text(ByteBuffer& out, std::string_view text) {
  WEIR_CHECK(text.size() <= 0xFFFF, "a text is longer than its length can say");
  put_two(out, static_cast<std::uint16_t>(text.size()));
  out.append(as_bytes(text));
}
void put_head(ByteBuffer& out, PacketType type, unsigned flags, std::size_t body_bytes) {
  put_byte(out, (static_cast<unsigned>(type) << 4U) | flags);
  put_variable(out, body_bytes);
}

void put_property(ByteBuffer& out, PropertyId id) { put_byte(out, static_cast<unsigned>(id)); }

void put_connect_properties(ByteBuffer& out, const Connect& connect) {
  const std::size_t bytes = (connect.session_expiry_s > 0 ? 5U : 0U) +
                            (connect.receive_maximum > 0 ? 3U : 0U) +
                            (connect.packet_bytes_max > 0 ? 5U : 0U);
  put_variable(out, bytes);
  if (connect.session_expiry_s > 0) {
    put_property(out, PropertyId::kSessionExpiry);
    put_four(out, connect.session_expiry_s);
  }
  if (connect.receive_maximum > 0) {
    put_property(out, PropertyId::kReceiveMaximum);
    put_two(out, connect.receive_maximum);
  }
  if (connect.packet_bytes_max > 0) {
    put_property(out, PropertyId::kMaximumPacketSize);
    put_four(out, connect.packet_bytes_max);
  }
}

}  // namespace

std::string_view packet_name(PacketType type) {
  constexpr std::array<std::string_view, 16> kNames{
      "a reserved packet", "CONNECT",   "CONNACK", "PUBLISH",     "PUBACK",   "PUBREC",  "PUBREL",
      "PUBCOMP",           "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",
      "DISCONNECT",        "AUTH"};
  return kNames[static_cast<std::size_t>(type) & 15U];
}

Split split_packet(Bytes received) {
  Split split;
  std::uint32_t length = 0;
  for (std::size_t i = 1; i < 5; ++i) {
    if (received.size() <= i) return split;
    const auto next = std::to_integer<std::uint32_t>(received[i]);
    length |= (next & 0x7FU) << (7 * (i - 1));
    if ((next & 0x80U) != 0) continue;
    if (next == 0 && i > 1) break;  // not the shortest form
    split.head_bytes = i + 1;
    split.packet_bytes = split.head_bytes + length;
    if (received.size() < split.packet_bytes) return split;
    const auto first = std::to_integer<std::uint8_t>(received[0]);
    split.kind = Split::Kind::kPacket;
    split.packet = {static_cast<PacketType>(first >> 4U), static_cast<std::uint8_t>(first & 15U),
                    received.subspan(split.head_bytes, length), split.packet_bytes};
    return split;
  }
  split.kind = Split::Kind::kBadLength;
  return split;
}

Decoded<Connack> decode_connack(const PacketView& packet, Version version) {
  if (auto checked = check_flags(packet); !checked) return tl::unexpected(checked.error());
  Connack connack;
  Reader reader(packet.body);
  std::uint8_t flags = 0;
  if (!reader.byte(flags) || !reader.byte(connack.reason)) {
    return malformed(packet.type, "that is too short");
  }
  if (flags > 1) return malformed(packet.type, "with reserved flags");
  connack.session_present = flags == 1;
  // Only a broker of 3.1.1 leaves the properties out.
  connack.answered_in = reader.empty() ? Version::k311 : version;
  if (version == Version::k311) {
    if (!reader.empty()) return malformed(packet.type, "that is too long");
  } else if (!reader.empty()) {
    auto read = read_properties(reader, packet.type, [&connack](const Property& property) {
      take_connack_property(property, connack);
    });
    if (!read) return tl::unexpected(read.error());
    if (!reader.empty()) return malformed(packet.type, "that is too long");
  }
  if (connack.session_present && connack.reason != 0) {
    return against_protocol(packet.type, "that refuses and says it has our session");
  }
  return connack;
}

Decoded<Publish> decode_publish(const PacketView& packet, Version version) {
  Reader reader(packet.body);
  auto publish = read_publish_head(reader, packet.flags);
  if (!publish) return publish;
  if (version == Version::k5) {
    // Most messages have no properties: one zero byte.
    if (!reader.empty() && reader.left()[0] == std::byte{0}) {
      Bytes none;
      (void)reader.take(1, none);
    } else {
      bool alias = false;
      auto read = read_properties(reader, packet.type, [&alias](const Property& property) {
        alias = alias || property.id == PropertyId::kTopicAlias;
      });
      if (!read) return tl::unexpected(read.error());
      if (alias) {
        return tl::unexpected(
            Violation{kTopicAliasInvalid, "PUBLISH with a topic alias, and we allowed none"});
      }
    }
  }
  if (publish->topic.empty()) return against_protocol(packet.type, "without a topic");
  publish->payload = reader.left();
  return publish;
}

std::optional<Publish> decode_publish_beginning(std::uint8_t flags, Bytes beginning) {
  Reader reader(beginning);
  auto publish = read_publish_head(reader, flags);
  if (!publish || publish->topic.empty()) return std::nullopt;
  return *publish;
}

Decoded<Acknowledgement> decode_acknowledgement(const PacketView& packet, Version version) {
  if (auto checked = check_flags(packet); !checked) return tl::unexpected(checked.error());
  Acknowledgement answer;
  Reader reader(packet.body);
  if (!reader.two(answer.packet_id)) return malformed(packet.type, "that is too short");
  if (answer.packet_id == 0) return against_protocol(packet.type, "with packet identifier 0");
  if (version == Version::k5 && reader.byte(answer.reason) && !reader.empty()) {
    auto read = read_properties(reader, packet.type, [&answer](const Property& property) {
      if (property.id == PropertyId::kReasonString) answer.text = property.text;
    });
    if (!read) return tl::unexpected(read.error());
  }
  if (!reader.empty()) return malformed(packet.type, "that is too long");
  return answer;
}

Decoded<Suback> decode_suback(const PacketView& packet, Version version) {
  if (auto checked = check_flags(packet); !checked) return tl::unexpected(checked.error());
  Suback suback;
  Reader reader(packet.body);
  if (!reader.two(suback.packet_id)) return malformed(packet.type, "that is too short");
  if (version == Version::k5) {
    auto read = read_properties(reader, packet.type, [&suback](const Property& property) {
      if (property.id == PropertyId::kReasonString) suback.text = property.text;
    });
    if (!read) return tl::unexpected(read.error());
  }
  if (reader.empty()) return malformed(packet.type, "without a reason");
  suback.reasons = reader.left();
  return suback;
}

Decoded<Disconnect> decode_disconnect(const PacketView& packet) {
  if (auto checked = check_flags(packet); !checked) return tl::unexpected(checked.error());
  Disconnect disconnect;
  Reader reader(packet.body);
  if (reader.byte(disconnect.reason) && !reader.empty()) {
    auto read = read_properties(reader, packet.type, [&disconnect](const Property& property) {
      if (property.id == PropertyId::kReasonString) disconnect.text = property.text;
      if (property.id == PropertyId::kServerReference) disconnect.server_reference = property.text;
    });
    if (!read) return tl::unexpected(read.error());
  }
  if (!reader.empty()) return malformed(packet.type, "that is too long");
  return disconnect;
}

Decoded<void> decode_pingresp(const PacketView& packet) {
  if (auto checked = check_flags(packet); !checked) return checked;
  if (!packet.body.empty()) return malformed(packet.type, "that is too long");
  return {};
}

void encode_connect(ByteBuffer& out, const Connect& connect) {
  ByteBuffer body;
  put_text(body, "MQTT");
  put_byte(body, static_cast<unsigned>(connect.version));
  put_byte(body, (connect.user ? 0x80U : 0U) | (connect.password ? 0x40U : 0U) |
                     (connect.clean ? 0x02U : 0U));
  put_two(body, connect.keep_alive_s);
  if (connect.version == Version::k5) put_connect_properties(body, connect);
  put_text(body, connect.client_id);
  if (connect.user) put_text(body, *connect.user);
  if (connect.password) put_text(body, *connect.password);
  put_head(out, PacketType::kConnect, 0, body.size());
  out.append(body.bytes());
}

void encode_subscribe(ByteBuffer& out, Version version, std::uint16_t packet_id,
                      std::span<const std::string_view> filters) {
  constexpr unsigned kRetainedOnlyIfNew = 0x10;
  std::size_t bytes = 2 + (version == Version::k5 ? 1U : 0U);
  for (const std::string_view filter : filters) bytes += 2 + filter.size() + 1;
  put_head(out, PacketType::kSubscribe, 2, bytes);
  put_two(out, packet_id);
  if (version == Version::k5) put_variable(out, 0);
  for (const std::string_view filter : filters) {
    put_text(out, filter);
    put_byte(out, 1U | (version == Version::k5 ? kRetainedOnlyIfNew : 0U));
  }
}

std::size_t publish_bytes(Version version, std::size_t topic_bytes, std::size_t payload_bytes,
                          bool with_packet_id) {
  const std::size_t body = 2 + topic_bytes + (with_packet_id ? 2U : 0U) +
                           (version == Version::k5 ? 1U : 0U) + payload_bytes;
  return 1 + variable_bytes(body) + body;
}

void encode_publish(ByteBuffer& out, Version version, std::string_view topic, Bytes payload,
                    std::uint16_t packet_id, bool duplicate) {
  const std::size_t body = 2 + topic.size() + (packet_id != 0 ? 2U : 0U) +
                           (version == Version::k5 ? 1U : 0U) + payload.size();
  put_head(out, PacketType::kPublish, (packet_id != 0 ? 2U : 0U) | (duplicate ? 8U : 0U), body);
  put_text(out, topic);
  if (packet_id != 0) put_two(out, packet_id);
  if (version == Version::k5) put_variable(out, 0);
  out.append(payload);
}

void encode_acknowledgement(ByteBuffer& out, PacketType type, std::uint16_t packet_id) {
  std::byte* at = out.extend(4);
  at[0] = static_cast<std::byte>((static_cast<unsigned>(type) << 4U) | fixed_flags(type));
  at[1] = std::byte{2};
  store_big16(at + 2, packet_id);
}

void encode_pingreq(ByteBuffer& out) { put_head(out, PacketType::kPingreq, 0, 0); }

void encode_disconnect(ByteBuffer& out, Version version, std::uint8_t reason) {
  const bool says_why = version == Version::k5 && reason != 0;
  put_head(out, PacketType::kDisconnect, 0, says_why ? 1 : 0);
  if (says_why) put_byte(out, reason);
}

}  // namespace weir::mqtt
