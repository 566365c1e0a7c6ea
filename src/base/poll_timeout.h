#pragma once

#include "base/clock.h"

namespace weir {

/// What to give `poll` so that it returns at `until` by the steady clock, rounded up to a
/// millisecond; ten minutes at most, so those who wait longer ask again. Pure but for the clock.
int poll_timeout_ms(Instant until);

}  // namespace weir
