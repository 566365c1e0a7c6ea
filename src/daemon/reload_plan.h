#pragma once

#include "daemon/config.h"

#include <string>
#include <vector>

namespace weir::daemon {

/// What a configuration that was read again means for the running weir. Pure.
struct ReloadPlan {
  /// Refused: why, one text for each place; then nothing else is filled in.
  std::vector<std::string> refused;
  Config next;                             ///< what is in force afterwards
  std::vector<std::string> changed;        ///< keys that take effect, see `changed_keys`
  std::vector<std::string> needs_restart;  ///< keys that differ and stay as they are
};

/// `running` is what is in force. Keys that need a restart keep their values in `next`; if what is
/// left makes no sense together, the whole is refused.
ReloadPlan plan_reload(const Config& running, LoadedConfig loaded);

}  // namespace weir::daemon
