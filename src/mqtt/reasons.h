#pragma once

#include "mqtt/client.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::mqtt {

/// Reason codes of MQTT 5 that weir sends or judges.
inline constexpr std::uint8_t kMalformedPacket = 0x81;
inline constexpr std::uint8_t kProtocolError = 0x82;
inline constexpr std::uint8_t kTopicAliasInvalid = 0x94;
inline constexpr std::uint8_t kPacketTooLarge = 0x95;

/// The name of a reason code of MQTT 5: "not authorised" for 0x87; "unknown reason" for one that
/// the standard does not have.
std::string_view reason_words(std::uint8_t reason);

/// What a person needs to know about a CONNACK that refuses: the reason and what to do about it.
std::string refusal_words(Version answered_in, std::uint8_t reason);

/// "not authorised (0x87)".
std::string reason_with_code(std::uint8_t reason);

}  // namespace weir::mqtt
