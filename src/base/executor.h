#pragma once

#include <functional>

namespace weir {

/// Runs closures later, in the order posted, on the one thread it stands for.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Threads: any. Never runs `work` before it returns. After the executor stopped, `work` is
  /// destroyed without being run.
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace weir
