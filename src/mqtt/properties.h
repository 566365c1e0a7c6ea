#pragma once

#include "mqtt/packets.h"

#include <cstdint>
#include <functional>

namespace weir::mqtt {

/// The properties of MQTT 5 that a broker may send, by their identifier.
enum class PropertyId : std::uint8_t {
  kPayloadFormat = 0x01,
  kMessageExpiry = 0x02,
  kContentType = 0x03,
  kResponseTopic = 0x08,
  kCorrelationData = 0x09,
  kSubscriptionIdentifier = 0x0B,
  kSessionExpiry = 0x11,
  kAssignedClientIdentifier = 0x12,
  kServerKeepAlive = 0x13,
  kAuthenticationMethod = 0x15,
  kAuthenticationData = 0x16,
  kResponseInformation = 0x1A,
  kServerReference = 0x1C,
  kReasonString = 0x1F,
  kReceiveMaximum = 0x21,
  kTopicAliasMaximum = 0x22,
  kTopicAlias = 0x23,
  kMaximumQos = 0x24,
  kRetainAvailable = 0x25,
  kUserProperty = 0x26,
  kMaximumPacketSize = 0x27,
  kWildcardAvailable = 0x28,
  kSubscriptionIdentifiersAvailable = 0x29,
  kSharedAvailable = 0x2A,
};

struct Property {
  PropertyId id{};
  std::uint32_t number = 0;
  std::string_view text;  ///< of texts; of a user property its name
};

/// Takes bytes from the front of a packet. Running out is remembered, not undefined.
class Reader {
 public:
  explicit Reader(Bytes left) : left_(left) {}

  [[nodiscard]] Bytes left() const { return left_; }
  [[nodiscard]] bool empty() const { return left_.empty(); }

  /// Each returns false, and takes nothing that matters, if the bytes are not all there.
  bool byte(std::uint8_t& value);
  bool two(std::uint16_t& value);
  bool four(std::uint32_t& value);
  /// A variable byte integer in its shortest form.
  bool variable(std::uint32_t& value);
  /// Two bytes of length, and as many bytes.
  bool data(Bytes& value);
  bool take(std::size_t bytes, Bytes& value);

 private:
  Bytes left_;
};

/// Reads the properties at the front of `reader`, in their order. A property that a packet of
/// `type` must not have, has twice, or whose value is not allowed is a violation.
Decoded<void> read_properties(Reader& reader, PacketType type,
                              const std::function<void(const Property&)>& each);

}  // namespace weir::mqtt
