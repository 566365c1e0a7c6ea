#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace weir::exporter {

/// Who waits until a stream's positions that somebody moved or removed are on stable storage
/// (reliability.md D1). Threads: one at a time (the scheduler's).
class Settling {
 public:
  using Done = std::function<void(const Result<void>&)>;

  /// Something that must be stored has been handed over; `end` follows, in the same order.
  void begin() { ++under_way_; }
  void end(const Result<void>& outcome);

  /// The position of this export was moved: a save of `revision` or a later one must succeed.
  void moved(std::uint64_t serial, std::uint64_t revision) { moved_[serial] = revision; }
  /// A save ended. One that fails is told to all who wait; it is tried again all the same.
  void saved(std::uint64_t serial, std::uint64_t revision, const Result<void>& outcome);
  /// The export is gone, its position with it.
  void forget(std::uint64_t serial);

  /// Calls `done` once nothing is outstanding, maybe at once, or with the first failure.
  void wait(Done done);
  /// Calls all who wait now.
  void finish(const Result<void>& outcome);

 private:
  void look();

  std::size_t under_way_ = 0;
  std::map<std::uint64_t, std::uint64_t> moved_;  // export, revision
  std::vector<Done> waiting_;
};

}  // namespace weir::exporter
