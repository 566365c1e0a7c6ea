#pragma once

#include "base/result.h"
#include "daemon/status_board.h"
#include "exporter/engine.h"

#include <functional>
#include <string>
#include <string_view>

namespace weir::daemon {

/// Takes an order for an export as `weir export` sends it to the admin port:
///
///     {"stream": "pumps", "export": "cloud", "order": "pause" | "resume" | "move" | "retry-now",
///      "to": 17 | -10 | "start" | "end", "or_end": true, "confirmed": true}
///
/// -10 is the last ten messages. `or_end`: where message `to` is not on stable storage yet, the
/// end of what is.
///
/// `reply` gets an HTTP status and a JSON body, {"done": ...} or {"error": ...}, on any thread and
/// maybe at once; it is not called when weir stops meanwhile. `look_again` is called before
/// retry-now is obeyed: what an export failed at may lie in things that exports share. Threads:
/// any.
void take_export_order(std::string_view body, const StatusBoard& board, exporter::Engine& engine,
                       const std::function<void()>& look_again,
                       std::function<void(unsigned status, std::string body)> reply);

/// Writes a new random token to `path`, readable by its owner only, and returns it: whoever can
/// read the store may give orders. Blocks: on disk.
Result<std::string> write_admin_token(const std::string& path);

}  // namespace weir::daemon
