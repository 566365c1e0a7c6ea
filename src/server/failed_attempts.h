#pragma once

#include "base/clock.h"

#include <cstddef>
#include <map>
#include <string>

namespace weir::server {

/// Makes guessing tokens slow: each failure from one source in a row delays its answer longer.
/// Good tokens are never delayed. Pure; threads: core.
class FailedAttempts {
 public:
  static constexpr Duration kFirst = std::chrono::milliseconds(50);
  static constexpr Duration kLongest = std::chrono::seconds(2);
  static constexpr Duration kForgottenAfter = std::chrono::seconds(60);
  static constexpr std::size_t kSourcesMax = 1'024;

  /// How long to hold back the refusal of one more attempt; the first one is not delayed.
  Duration delay(const std::string& source, Instant now);

 private:
  struct Record {
    int failures = 0;
    Instant last;
  };
  std::map<std::string, Record> sources_;
};

}  // namespace weir::server
