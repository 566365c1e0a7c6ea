#pragma once

#include "base/clock.h"
#include "base/mutex.h"
#include "exporter/destination.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace weir::daemon {

/// A batch that was just offered to its destination, as somebody who looks on sees it.
struct TappedBatch {
  struct Sample {
    std::int64_t sequence = 0;
    std::string payload;  ///< cut to `Taps::kSampleBytesMax`
    std::int64_t payload_bytes = 0;
  };
  std::int64_t time_ms = 0;
  std::string destination;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t messages = 0;
  std::int64_t bytes = 0;
  bool sent = false;
  std::string error;  ///< of the batch, or of its first message that was not taken
  std::vector<Sample> sample;
};

/// Lets people look at what exports send, as they send it. Costs one load of a number for each
/// batch while nobody looks. Whoever looks and does not keep up misses batches, which are counted.
///
/// Threads: any.
class Taps {
 public:
  static constexpr std::size_t kSampleBytesMax = std::size_t{16} << 10;
  static constexpr std::size_t kSamplesMax = 8;
  /// Payloads of one batch, and batches that wait for one listener.
  static constexpr std::size_t kBatchBytesMax = std::size_t{32} << 10;
  static constexpr std::size_t kWaitingMax = 16;

  /// One who looks at one export; looks no more when destroyed.
  class Listener {
   public:
    Listener(std::string stream, std::string identifier)
        : stream_(std::move(stream)), identifier_(std::move(identifier)) {}
    /// The oldest batch that waits; false if none does. `missed` were thrown away before it.
    bool take(TappedBatch& batch, std::int64_t& missed);
    /// For the export it looks at; counted as missed if there is no room.
    void put(const TappedBatch& batch);
    [[nodiscard]] bool looks_at(const exporter::Batch& batch) const;

   private:
    const std::string stream_;
    const std::string identifier_;
    Mutex mutex_;
    std::deque<TappedBatch> waiting_ WEIR_GUARDED_BY(mutex_);
    std::int64_t missed_ WEIR_GUARDED_BY(mutex_) = 0;
  };

  /// Lifetime: the clock outlives all listeners. Destinations may outlive the taps.
  explicit Taps(Clock& clock);

  /// Looks until the result is released.
  [[nodiscard]] std::shared_ptr<Listener> listen(const std::string& stream,
                                                 const std::string& identifier);
  /// The same factory, whose destinations show what they were given.
  [[nodiscard]] exporter::DestinationFactory in_front_of(exporter::DestinationFactory factory);

 private:
  class Tapped;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace weir::daemon
