#include "daemon/command.h"

namespace weir::daemon {
int run_command(int, char**) { return 2; }
}  // namespace weir::daemon
