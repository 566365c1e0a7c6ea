#include "server/failed_attempts.h"

#include <algorithm>

namespace weir::server {

Duration FailedAttempts::delay(const std::string& source, Instant now) {
  std::erase_if(sources_,
                [now](const auto& entry) { return now - entry.second.last >= kForgottenAfter; });
  if (sources_.size() >= kSourcesMax && !sources_.contains(source)) {
    const auto oldest = std::min_element(
        sources_.begin(), sources_.end(),
        [](const auto& a, const auto& b) { return a.second.last < b.second.last; });
    sources_.erase(oldest);
  }
  Record& record = sources_[source];
  record.last = now;
  const int failures = record.failures++;
  if (failures == 0) return Duration::zero();
  return std::min(kLongest, kFirst * (1 << std::min(failures - 1, 10)));
}

}  // namespace weir::server
