#include "exporter/settling.h"

#include "base/check.h"

#include <utility>

namespace weir::exporter {

void Settling::end(const Result<void>& outcome) {
  WEIR_CHECK(under_way_ > 0, "what ends was begun");
  --under_way_;
  if (!outcome) finish(outcome);
  look();
}

void Settling::saved(std::uint64_t serial, std::uint64_t revision, const Result<void>& outcome) {
  const auto found = moved_.find(serial);
  if (found == moved_.end()) return;
  if (!outcome) {
    finish(outcome);
    return;
  }
  if (revision < found->second) return;
  moved_.erase(found);
  look();
}

void Settling::forget(std::uint64_t serial) {
  moved_.erase(serial);
  look();
}

void Settling::wait(Done done) {
  waiting_.push_back(std::move(done));
  look();
}

void Settling::finish(const Result<void>& outcome) {
  for (const Done& done : std::exchange(waiting_, {})) done(outcome);
}

void Settling::look() {
  if (under_way_ == 0 && moved_.empty()) finish({});
}

}  // namespace weir::exporter
