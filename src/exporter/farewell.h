#pragma once

#include "base/ids.h"
#include "exporter/destination.h"
#include "stream/stream.h"

#include <memory>
#include <string>

namespace weir::exporter {

/// Reads the message `next` and the newest of those behind it, at most `kFarewellMessagesMax`. The
/// newest have their payload as far as `kFarewellBytesMax` reach for all. What cannot be read is
/// left out. Blocks: on disk.
std::shared_ptr<Farewell> read_farewell(const std::string& stream_name,
                                        const std::string& identifier, stream::LogReader& log,
                                        SequenceNumber next);

/// The same without the payloads: it takes little memory.
std::shared_ptr<Farewell> without_payloads(const Farewell& farewell);

}  // namespace weir::exporter
