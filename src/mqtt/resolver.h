#pragma once

#include "base/result.h"

#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace weir::mqtt {

/// Where to connect to.
struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

/// Addresses of a name that are tried, at most.
inline constexpr std::size_t kAddressesMax = 8;

/// Looks up names without making its owner wait: the system's resolver blocks, for as long as it
/// likes, so it does that on a thread of its own, which is left behind when nobody wants the answer
/// any more. At most one such thread at a time. Threads: one.
class Resolver {
 public:
  Resolver();
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Begins, and forgets what was asked before. An address in digits is answered at once.
  void start(const std::string& host, std::uint16_t port);
  /// The answer, once; none while it is awaited.
  std::optional<Result<std::vector<Address>>> take();
  /// Becomes readable when `take` may have something.
  [[nodiscard]] int descriptor() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::optional<Result<std::vector<Address>>> at_once_;
};

}  // namespace weir::mqtt
