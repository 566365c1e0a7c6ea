#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

struct sockaddr;

namespace weir::destination {

/// Why a client may not make weir connect to `address`, or nullptr if it may: link-local (where
/// metadata and credential services live), multicast, broadcast, and weir's own ports on this
/// machine (reliability.md §4.6). IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) is judged as
/// the IPv4 address. Pure.
const char* address_refusal(const sockaddr* address, const std::vector<std::uint16_t>& own_ports);

/// The same for a host that is written as an address, IPv6 without brackets; nullptr for names.
/// Also reads the short, octal and hexadecimal forms that resolvers accept. Pure.
const char* literal_refusal(std::string_view host, std::uint16_t port,
                            const std::vector<std::uint16_t>& own_ports);

}  // namespace weir::destination
