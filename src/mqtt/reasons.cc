#include "mqtt/reasons.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weir::mqtt {
namespace {

struct Named {
  std::uint8_t reason;
  std::string_view words;
};

// Table 2-6 of MQTT 5, in order.
constexpr std::array<Named, 43> kReasons{{
    {0x00, "success"},
    {0x01, "granted QoS 1"},
    {0x02, "granted QoS 2"},
    {0x04, "disconnect with will"},
    {0x10, "nobody listens"},
    {0x11, "no such subscription"},
    {0x18, "continue authentication"},
    {0x19, "authenticate again"},
    {0x80, "unspecified error"},
    {0x81, "malformed packet"},
    {0x82, "protocol error"},
    {0x83, "implementation specific error"},
    {0x84, "unsupported protocol version"},
    {0x85, "client id not valid"},
    {0x86, "bad user name or password"},
    {0x87, "not authorised"},
    {0x88, "server unavailable"},
    {0x89, "server busy"},
    {0x8A, "banned"},
    {0x8B, "server shutting down"},
    {0x8C, "bad authentication method"},
    {0x8D, "keep alive timeout"},
    {0x8E, "session taken over"},
    {0x8F, "topic filter invalid"},
    {0x90, "topic name invalid"},
    {0x91, "packet identifier in use"},
    {0x92, "packet identifier not found"},
    {0x93, "receive maximum exceeded"},
    {0x94, "topic alias invalid"},
    {0x95, "packet too large"},
    {0x96, "message rate too high"},
    {0x97, "quota exceeded"},
    {0x98, "administrative action"},
    {0x99, "payload format invalid"},
    {0x9A, "retain not supported"},
    {0x9B, "QoS not supported"},
    {0x9C, "use another server"},
    {0x9D, "server moved"},
    {0x9E, "shared subscriptions not supported"},
    {0x9F, "connection rate exceeded"},
    {0xA0, "maximum connect time"},
    {0xA1, "subscription identifiers not supported"},
    {0xA2, "wildcard subscriptions not supported"},
}};

constexpr std::string_view kUnknown = "unknown reason";

/// What to do about a refused connection, by the reason of MQTT 5.
std::string_view advice(std::uint8_t reason) {
  switch (reason) {
    case 0x84:
      return "choose the other version of MQTT";
    case 0x85:
      return "choose another client id";
    case 0x86:
      return "check the user name and the password file";
    case 0x87:
      return "check user name, password file and certificate, and what the broker allows them";
    case 0x8A:
      return "the broker's operator has banned this client";
    case 0x95:
      return "the broker takes no CONNECT of this size; shorten client id and user name";
    case 0x9C:
    case 0x9D:
      return "change the broker's address";
    default:
      return {};
  }
}

/// The reason of MQTT 5 that means the same as a return code of 3.1.1.
std::uint8_t as_reason(std::uint8_t return_code) {
  constexpr std::array<std::uint8_t, 6> kSame{0x00, 0x84, 0x85, 0x88, 0x86, 0x87};
  return return_code < kSame.size() ? kSame[return_code] : 0xFF;
}

}  // namespace

std::string_view reason_words(std::uint8_t reason) {
  const auto* found =
      std::lower_bound(kReasons.begin(), kReasons.end(), reason,
                       [](const Named& named, std::uint8_t r) { return named.reason < r; });
  return found != kReasons.end() && found->reason == reason ? found->words : kUnknown;
}

std::string reason_with_code(std::uint8_t reason) {
  return fmt::format("{} ({:#04x})", reason_words(reason), reason);
}

std::string refusal_words(Version answered_in, std::uint8_t reason) {
  const bool old = answered_in == Version::k311;
  const std::uint8_t meaning = old ? as_reason(reason) : reason;
  std::string words = old ? fmt::format("{} (return code {})", reason_words(meaning), reason)
                          : reason_with_code(reason);
  if (const std::string_view hint = advice(meaning); !hint.empty()) {
    words += ": ";
    words += hint;
  }
  return words;
}

}  // namespace weir::mqtt
