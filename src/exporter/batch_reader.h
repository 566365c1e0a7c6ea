#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "exporter/delivery.h"
#include "exporter/destination.h"

#include <cstdint>

namespace weir::exporter {

/// What was read for one delivery.
struct ReadBatch {
  Batch batch;
  SequenceNumber next;  ///< every wanted number below this was looked at
  /// Not 0: the first message needs this much memory, more than was set aside; `batch` is empty.
  std::int64_t bytes_needed = 0;
};

/// Reads the messages that `job` wants, or of a later batch those from `from` on, as many as the
/// bounds of the grant, the destination and the reservation allow. What `into` held is forgotten.
///
/// Errors: those of `LogReader::read` when nothing could be read; a failure behind records that
/// were read already is left for the next batch to meet. Blocks: on the log's disk.
Result<void> read_batch(const Job& job, const Destination::Limits& limits, SequenceNumber from,
                        ReadBatch& into);

}  // namespace weir::exporter
