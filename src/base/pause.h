#pragma once

#include "base/clock.h"

#include <stop_token>

namespace weir {

/// Waits for `time` in real time, whatever clock the caller was given, or until `stop` is
/// requested.
void pause_for(Duration time, const std::stop_token& stop);

}  // namespace weir
