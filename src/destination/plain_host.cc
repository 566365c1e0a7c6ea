#include "destination/plain_host.h"

#include <algorithm>
#include <arpa/inet.h>

namespace weir::destination {
namespace {

bool is_same_v6(const std::string& host, const char* address) {
  in6_addr mine{};
  in6_addr other{};
  return inet_pton(AF_INET6, host.c_str(), &mine) == 1 &&
         inet_pton(AF_INET6, address, &other) == 1 &&
         std::equal(std::begin(mine.s6_addr), std::end(mine.s6_addr), std::begin(other.s6_addr));
}

}  // namespace

bool is_this_machine(const std::string& host) {
  in_addr address{};
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) {
    return ntohl(address.s_addr) >> 24U == IN_LOOPBACKNET;
  }
  return host == "localhost" || is_same_v6(host, "::1");
}

bool is_plain_credentials_host(const std::string& host) {
  return is_this_machine(host) || host == "169.254.170.2" || host == "169.254.170.23" ||
         is_same_v6(host, "fd00:ec2::23");
}

}  // namespace weir::destination
