#include "destination/address_rule.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>

namespace weir::destination {
namespace {

constexpr const char* kLinkLocal = "it is a link-local address, where credential services live";
constexpr const char* kMulticast = "it is a multicast or reserved address";
constexpr const char* kBroadcast = "it is the broadcast address";
constexpr const char* kMetadata = "it is the address of a metadata service";
constexpr const char* kOwnPort = "it is one of weir's own ports";

bool is_own(std::uint16_t port, const std::vector<std::uint16_t>& own_ports) {
  return port != 0 && std::find(own_ports.begin(), own_ports.end(), port) != own_ports.end();
}

// `address` in host byte order.
const char* refusal4(std::uint32_t address, std::uint16_t port,
                     const std::vector<std::uint16_t>& own_ports) {
  if ((address >> 16U) == 0xa9fe) return kLinkLocal;  // 169.254.0.0/16
  if (address == 0xffffffffU) return kBroadcast;
  if ((address >> 28U) >= 0xe) return kMulticast;  // 224.0.0.0/4 and 240.0.0.0/4
  const bool loopback = (address >> 24U) == 127 || address == 0;
  return loopback && is_own(port, own_ports) ? kOwnPort : nullptr;
}

using Address6 = std::array<unsigned char, 16>;

std::uint32_t four_bytes(const Address6& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = (value << 8U) | bytes[at + i];
  return value;
}

bool starts_with(const Address6& bytes, std::initializer_list<unsigned char> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

// The IPv4 address that an IPv6 address stands for.
std::optional<std::uint32_t> embedded4(const Address6& bytes) {
  const bool ten_zeros =
      std::all_of(bytes.begin(), bytes.begin() + 10, [](auto b) { return b == 0; });
  if (ten_zeros && bytes[10] == 0xff && bytes[11] == 0xff) return four_bytes(bytes, 12);
  const std::uint32_t last = four_bytes(bytes, 12);
  if (ten_zeros && bytes[10] == 0 && bytes[11] == 0 && last > 1) return last;
  if (starts_with(bytes, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return last;
  if (starts_with(bytes, {0x20, 0x02})) return four_bytes(bytes, 2);
  return std::nullopt;
}

const char* refusal6(const Address6& bytes, std::uint16_t port,
                     const std::vector<std::uint16_t>& own_ports) {
  if (const auto inner = embedded4(bytes)) return refusal4(*inner, port, own_ports);
  if (bytes[0] == 0xff) return kMulticast;
  if (bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80) return kLinkLocal;
  if (starts_with(bytes, {0xfd, 0x00, 0x0e, 0xc2})) {
    // fd00:ec2::/32 holds the instance metadata (::254) and container credential (::23) services.
    return kMetadata;
  }
  const bool local = std::all_of(bytes.begin(), bytes.begin() + 15, [](auto b) { return b == 0; });
  return local && is_own(port, own_ports) ? kOwnPort : nullptr;
}

}  // namespace

const char* address_refusal(const sockaddr* address, const std::vector<std::uint16_t>& own_ports) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return refusal4(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port), own_ports);
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    Address6 bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return refusal6(bytes, ntohs(in.sin6_port), own_ports);
  }
  return "it is neither an IPv4 nor an IPv6 address";
}

const char* literal_refusal(std::string_view host, std::uint16_t port,
                            const std::vector<std::uint16_t>& own_ports) {
  const std::string text(host);
  in_addr four{};
  if (inet_aton(text.c_str(), &four) != 0) return refusal4(ntohl(four.s_addr), port, own_ports);
  in6_addr six{};
  if (inet_pton(AF_INET6, text.c_str(), &six) == 1) {
    Address6 bytes;
    std::memcpy(bytes.data(), &six, bytes.size());
    return refusal6(bytes, port, own_ports);
  }
  return nullptr;
}

}  // namespace weir::destination
