#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "mqtt/client.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace weir::mqtt {

/// The control packets of both versions, by the number in their first byte.
enum class PacketType : std::uint8_t {
  kReserved = 0,
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
  kAuth = 15,
};

/// "PUBLISH" and the like.
std::string_view packet_name(PacketType type);

/// Why what the broker sent ends the connection.
struct Violation {
  std::uint8_t reason = 0x81;  ///< what DISCONNECT says (MQTT 5)
  std::string what;
};

template <class T>
using Decoded = tl::expected<T, Violation>;

/// The largest remaining length that four bytes can say.
inline constexpr std::uint32_t kRemainingLengthMax = 268'435'455;

/// One whole packet in a buffer.
struct PacketView {
  PacketType type = PacketType::kReserved;
  std::uint8_t flags = 0;
  Bytes body;             ///< what follows the length
  std::size_t bytes = 0;  ///< of the packet, first byte to last
};

/// What the beginning of a buffer holds.
struct Split {
  enum class Kind : std::uint8_t { kPacket, kNeedMore, kBadLength };
  Kind kind = Kind::kNeedMore;
  PacketView packet;             ///< if kPacket
  std::size_t packet_bytes = 0;  ///< of the packet that begins here, if known; else 0
  std::size_t head_bytes = 0;    ///< of the packet's type and length, if known; else 0
};

Split split_packet(Bytes received);

/// What a broker says to CONNECT. Views are into the packet.
struct Connack {
  bool session_present = false;
  std::uint8_t reason = 0;  ///< of the version that `answered_in` names
  Version answered_in = Version::k5;
  std::uint16_t receive_maximum = 65'535;
  std::uint8_t maximum_qos = 2;
  std::uint32_t packet_bytes_max = 0;  ///< 0: no limit
  std::optional<std::uint16_t> server_keep_alive_s;
  std::optional<std::uint32_t> session_expiry_s;
  std::string_view assigned_client_id;
  std::string_view text;
  std::string_view server_reference;
};

/// A broker that does not know MQTT 5 answers in 3.1.1; that is no violation.
Decoded<Connack> decode_connack(const PacketView& packet, Version version);

/// A message. Views are into the packet.
struct Publish {
  std::string_view topic;
  Bytes payload;
  std::uint16_t packet_id = 0;  ///< 0 with QoS 0
  std::uint8_t qos = 0;
  bool retained = false;
  bool duplicate = false;
};

/// The topic is valid UTF-8, without wildcards, and not empty: no alias was ever allowed.
Decoded<Publish> decode_publish(const PacketView& packet, Version version);
/// Topic and packet id of a PUBLISH of which only the beginning is there; none if they are not
/// whole, or wrong.
std::optional<Publish> decode_publish_beginning(std::uint8_t flags, Bytes beginning);

/// PUBACK, PUBREC, PUBREL and PUBCOMP.
struct Acknowledgement {
  std::uint16_t packet_id = 0;
  std::uint8_t reason = 0;
  std::string_view text;
};

Decoded<Acknowledgement> decode_acknowledgement(const PacketView& packet, Version version);

struct Suback {
  std::uint16_t packet_id = 0;
  Bytes reasons;  ///< one byte for each filter
  std::string_view text;
};

Decoded<Suback> decode_suback(const PacketView& packet, Version version);

/// MQTT 5 only: a broker of 3.1.1 just closes the connection.
struct Disconnect {
  std::uint8_t reason = 0;
  std::string_view text;
  std::string_view server_reference;
};

Decoded<Disconnect> decode_disconnect(const PacketView& packet);

Decoded<void> decode_pingresp(const PacketView& packet);

/// What CONNECT asks for. There is no will.
struct Connect {
  Version version = Version::k5;
  std::string_view client_id;
  std::optional<std::string_view> user;
  std::optional<std::string_view> password;
  bool clean = false;
  std::uint16_t keep_alive_s = 0;
  std::uint32_t session_expiry_s = 0;  ///< MQTT 5; 0xFFFFFFFF: for ever
  std::uint16_t receive_maximum = 0;   ///< MQTT 5; 0: not said
  std::uint32_t packet_bytes_max = 0;  ///< MQTT 5; 0: not said
};

/// The encoders append to `out`. Texts must be valid (`is_text`) and fit; `publish_bytes` tells the
/// size beforehand.
void encode_connect(ByteBuffer& out, const Connect& connect);
/// With QoS 1. MQTT 5: retained messages only for a subscription that is new.
void encode_subscribe(ByteBuffer& out, Version version, std::uint16_t packet_id,
                      std::span<const std::string_view> filters);
/// `packet_id` 0: QoS 0.
void encode_publish(ByteBuffer& out, Version version, std::string_view topic, Bytes payload,
                    std::uint16_t packet_id, bool duplicate);
std::size_t publish_bytes(Version version, std::size_t topic_bytes, std::size_t payload_bytes,
                          bool with_packet_id);
/// PUBACK, PUBREC or PUBCOMP that says yes.
void encode_acknowledgement(ByteBuffer& out, PacketType type, std::uint16_t packet_id);
void encode_pingreq(ByteBuffer& out);
/// Under 3.1.1 the reason is left out.
void encode_disconnect(ByteBuffer& out, Version version, std::uint8_t reason);

/// What a text of MQTT may be: well-formed UTF-8 without U+0000, at most 65,535 bytes.
bool is_text(std::string_view text);
/// A text that can be published to: not empty, no `+`, no `#`.
bool is_topic_name(std::string_view topic);
/// A text that can be subscribed to: wildcards stand alone in their level, `#` in the last.
bool is_topic_filter(std::string_view filter);

}  // namespace weir::mqtt
