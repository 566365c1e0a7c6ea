#pragma once

#include "base/clock.h"
#include "daemon/service_notifier.h"

#include <memory>

namespace weir::daemon {

/// Asks the service manager for more time while weir starts, as long as starting goes on: reading
/// back a large store on slow flash takes longer than the patience of a unit file, and being killed
/// would only begin it again. Goes on means that the process used the processor or the disk since
/// the last time; a start that hangs asks for nothing and meets the manager's timeout.
///
/// Threads: has one of its own, while somebody listens; ends with the object.
class StartPatience {
 public:
  static constexpr Duration kLookInterval = std::chrono::seconds(5);

  /// `notifier` outlives this object.
  explicit StartPatience(const ServiceNotifier& notifier, Duration look_interval = kLookInterval);
  ~StartPatience();
  StartPatience(const StartPatience&) = delete;
  StartPatience& operator=(const StartPatience&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir::daemon
