#include "mqtt/properties.h"

#include "mqtt/reasons.h"

#include <array>
#include <bitset>
#include <fmt/format.h>

namespace weir::mqtt {
namespace {

enum class Shape : std::uint8_t { kNone, kFlag, kTwo, kFour, kVariable, kText, kData, kPair };

struct Rule {
  Shape shape = Shape::kNone;
  bool zero_allowed = true;
  bool repeats = false;
  std::uint16_t packets = 0;  ///< bit n: packets of type n that a broker sends
};

constexpr std::uint16_t bit(PacketType type) {
  return static_cast<std::uint16_t>(1U << static_cast<unsigned>(type));
}
constexpr std::size_t index_of(PropertyId id) { return static_cast<std::size_t>(id); }

constexpr std::size_t kRules = 0x2B;

/// Table 2-4 of MQTT 5, for packets that go from broker to client.
constexpr std::array<Rule, kRules> make_rules() {
  constexpr std::uint16_t kConnack = bit(PacketType::kConnack);
  constexpr std::uint16_t kPublish = bit(PacketType::kPublish);
  constexpr std::uint16_t kAnswers = bit(PacketType::kPuback) | bit(PacketType::kPubrec) |
                                     bit(PacketType::kPubrel) | bit(PacketType::kPubcomp) |
                                     bit(PacketType::kSuback) | bit(PacketType::kUnsuback);
  constexpr std::uint16_t kDisconnect = bit(PacketType::kDisconnect);
  constexpr std::uint16_t kAuth = bit(PacketType::kAuth);

  std::array<Rule, kRules> rules{};
  const auto set = [&rules](PropertyId id, Rule rule) { rules[index_of(id)] = rule; };
  set(PropertyId::kPayloadFormat, {Shape::kFlag, true, false, kPublish});
  set(PropertyId::kMessageExpiry, {Shape::kFour, true, false, kPublish});
  set(PropertyId::kContentType, {Shape::kText, true, false, kPublish});
  set(PropertyId::kResponseTopic, {Shape::kText, true, false, kPublish});
  set(PropertyId::kCorrelationData, {Shape::kData, true, false, kPublish});
  set(PropertyId::kSubscriptionIdentifier, {Shape::kVariable, false, true, kPublish});
  set(PropertyId::kSessionExpiry, {Shape::kFour, true, false, kConnack});
  set(PropertyId::kAssignedClientIdentifier, {Shape::kText, true, false, kConnack});
  set(PropertyId::kServerKeepAlive, {Shape::kTwo, true, false, kConnack});
  set(PropertyId::kAuthenticationMethod, {Shape::kText, true, false, kConnack | kAuth});
  set(PropertyId::kAuthenticationData, {Shape::kData, true, false, kConnack | kAuth});
  set(PropertyId::kResponseInformation, {Shape::kText, true, false, kConnack});
  set(PropertyId::kServerReference, {Shape::kText, true, false, kConnack | kDisconnect});
  set(PropertyId::kReasonString,
      {Shape::kText, true, false, kConnack | kAnswers | kDisconnect | kAuth});
  set(PropertyId::kReceiveMaximum, {Shape::kTwo, false, false, kConnack});
  set(PropertyId::kTopicAliasMaximum, {Shape::kTwo, true, false, kConnack});
  set(PropertyId::kTopicAlias, {Shape::kTwo, true, false, kPublish});
  set(PropertyId::kMaximumQos, {Shape::kFlag, true, false, kConnack});
  set(PropertyId::kRetainAvailable, {Shape::kFlag, true, false, kConnack});
  set(PropertyId::kUserProperty,
      {Shape::kPair, true, true, kConnack | kPublish | kAnswers | kDisconnect | kAuth});
  set(PropertyId::kMaximumPacketSize, {Shape::kFour, false, false, kConnack});
  set(PropertyId::kWildcardAvailable, {Shape::kFlag, true, false, kConnack});
  set(PropertyId::kSubscriptionIdentifiersAvailable, {Shape::kFlag, true, false, kConnack});
  set(PropertyId::kSharedAvailable, {Shape::kFlag, true, false, kConnack});
  return rules;
}

constexpr std::array<Rule, kRules> kPropertyRules = make_rules();

bool read_text(Reader& reader, std::string_view& text) {
  Bytes bytes;
  if (!reader.data(bytes)) return false;
  text = as_text(bytes);
  return is_text(text);
}

/// Reads the value of one property; false if it is cut off or has the wrong form.
bool read_value(Reader& reader, Shape shape, Property& property) {
  std::uint8_t flag = 0;
  std::uint16_t two = 0;
  Bytes data;
  std::string_view second;
  switch (shape) {
    case Shape::kFlag:
      if (!reader.byte(flag)) return false;
      property.number = flag;
      return true;
    case Shape::kTwo:
      if (!reader.two(two)) return false;
      property.number = two;
      return true;
    case Shape::kFour:
      return reader.four(property.number);
    case Shape::kVariable:
      return reader.variable(property.number);
    case Shape::kText:
      return read_text(reader, property.text);
    case Shape::kData:
      return reader.data(data);
    case Shape::kPair:
      return read_text(reader, property.text) && read_text(reader, second);
    case Shape::kNone:
      break;
  }
  return false;
}

tl::unexpected<Violation> violation(std::uint8_t reason, PacketType type, unsigned id,
                                    std::string_view what) {
  return tl::unexpected(
      Violation{reason, fmt::format("{} with property {:#04x} {}", packet_name(type), id, what)});
}

bool value_allowed(const Rule& rule, const Property& property) {
  switch (rule.shape) {
    case Shape::kFlag:
      return property.number <= 1;
    case Shape::kTwo:
    case Shape::kFour:
    case Shape::kVariable:
      return rule.zero_allowed || property.number != 0;
    default:
      return true;
  }
}

}  // namespace

bool Reader::take(std::size_t bytes, Bytes& value) {
  if (left_.size() < bytes) return false;
  value = left_.first(bytes);
  left_ = left_.subspan(bytes);
  return true;
}

bool Reader::byte(std::uint8_t& value) {
  Bytes bytes;
  if (!take(1, bytes)) return false;
  value = std::to_integer<std::uint8_t>(bytes[0]);
  return true;
}

bool Reader::two(std::uint16_t& value) {
  Bytes bytes;
  if (!take(2, bytes)) return false;
  value = load_big16(bytes.data());
  return true;
}

bool Reader::four(std::uint32_t& value) {
  Bytes bytes;
  if (!take(4, bytes)) return false;
  value = load_big32(bytes.data());
  return true;
}

bool Reader::variable(std::uint32_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 28; shift += 7) {
    std::uint8_t next = 0;
    if (!byte(next)) return false;
    value |= static_cast<std::uint32_t>(next & 0x7FU) << shift;
    // A last byte of 0 behind others would be a longer way of writing the same number.
    if ((next & 0x80U) == 0) return next != 0 || shift == 0;
  }
  return false;
}

bool Reader::data(Bytes& value) {
  std::uint16_t length = 0;
  return two(length) && take(length, value);
}

Decoded<void> read_properties(Reader& reader, PacketType type,
                              const std::function<void(const Property&)>& each) {
  std::uint32_t length = 0;
  Bytes bytes;
  if (!reader.variable(length) || !reader.take(length, bytes)) {
    return tl::unexpected(Violation{
        kMalformedPacket, fmt::format("{} whose properties are cut off", packet_name(type))});
  }
  Reader properties(bytes);
  std::bitset<kRules> seen;
  while (!properties.empty()) {
    std::uint32_t id = 0;
    if (!properties.variable(id) || id >= kRules || kPropertyRules[id].shape == Shape::kNone) {
      return violation(kMalformedPacket, type, id, "that does not exist");
    }
    const Rule& rule = kPropertyRules[id];
    if ((rule.packets & bit(type)) == 0) {
      return violation(kMalformedPacket, type, id, "that belongs to other packets");
    }
    if (seen[id] && !rule.repeats) return violation(kProtocolError, type, id, "twice");
    seen[id] = true;
    Property property;
    property.id = static_cast<PropertyId>(id);
    if (!read_value(properties, rule.shape, property)) {
      return violation(kMalformedPacket, type, id, "whose value is damaged");
    }
    if (!value_allowed(rule, property)) {
      return violation(kProtocolError, type, id, "whose value is not allowed");
    }
    each(property);
  }
  return {};
}

}  // namespace weir::mqtt
