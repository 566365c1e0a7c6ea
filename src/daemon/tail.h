#pragma once

#include "admin/event_source.h"
#include "base/result.h"
#include "daemon/status_board.h"
#include "server/reader_pool.h"

#include <memory>
#include <string_view>

namespace weir::daemon {

/// GET /tail?stream=NAME&from=newest|oldest|NUMBER: the messages of a stream as they come.
///
///     event: message  {"sequence":7,"time_ms":..,"payload_base64":"..","payload_bytes":3}
///     event: skipped  {"messages":1200}   more came than somebody can read; it goes on behind them
///     event: gone     {}                  the stream was deleted; this was the last
///
/// A negative number counts back from the newest. Payloads are cut to 16 KiB. Where the page cache
/// cannot answer, `readers` does, so the admin thread never waits for a disk.
///
/// Errors: kInvalidArgument, kNotFound. Lifetime: both outlive what is opened. Threads: admin.
Result<std::unique_ptr<admin::EventSource>> open_tail(std::string_view query,
                                                      const StatusBoard& board,
                                                      server::ReaderPool& readers);

}  // namespace weir::daemon
