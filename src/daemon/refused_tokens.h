#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace weir::daemon {

/// Tokens that were refused within the last second, so that a client that tries again and again
/// does not cost the platform a question each time. Kept as hashes, not to keep tokens. Pure.
class RefusedTokens {
 public:
  static constexpr auto kRememberedFor = std::chrono::seconds(1);
  static constexpr std::size_t kMax = 1024;

  void add(std::size_t hash, Instant now) {
    if (until_.size() < kMax) until_[hash] = now + kRememberedFor;
  }
  [[nodiscard]] bool contains(std::size_t hash, Instant now) {
    std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
    return until_.contains(hash);
  }
  static std::size_t hash_of(const std::string& token) { return std::hash<std::string>{}(token); }

 private:
  std::map<std::size_t, Instant> until_;
};

}  // namespace weir::daemon
