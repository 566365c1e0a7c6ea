#pragma once

#include "base/mutex.h"
#include "daemon/config.h"

#include <memory>
#include <utility>

namespace weir::daemon {

/// The configuration in force; each reload replaces it whole. Threads: any.
class RunningConfig {
 public:
  explicit RunningConfig(Config config)
      : config_(std::make_shared<const Config>(std::move(config))) {}

  /// Never null; stays as it is while somebody holds it.
  [[nodiscard]] std::shared_ptr<const Config> get() const {
    const MutexLock lock(mutex_);
    return config_;
  }
  void set(std::shared_ptr<const Config> config) {
    const MutexLock lock(mutex_);
    config_ = std::move(config);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Config> config_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::daemon
