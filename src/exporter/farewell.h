#pragma once

#include "base/ids.h"
#include "exporter/destination.h"
#include "stream/stream.h"

#include <memory>
#include <string>

namespace weir::exporter {

/// Reads the newest of the messages from `next` on, at most `kFarewellMessagesMax` of them and
/// `kFarewellBytesMax` together. What cannot be read is left out. Blocks: on disk.
std::shared_ptr<Farewell> read_farewell(const std::string& stream_name,
                                        const std::string& identifier, stream::LogReader& log,
                                        SequenceNumber next);

}  // namespace weir::exporter
