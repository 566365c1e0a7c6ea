#pragma once

#include "base/mutex.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

namespace weir::server {

/// A few threads for reads that have to wait for the disk. Whoever submits keeps the number of
/// jobs bounded (one per connection).
///
/// Threads: `submit` from one. Destruction waits for the jobs that run; waiting ones are dropped.
class ReaderPool {
 public:
  explicit ReaderPool(std::size_t threads);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  void submit(std::function<void()> job);

 private:
  void run();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> jobs_ WEIR_GUARDED_BY(mutex_);
  bool stop_ WEIR_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace weir::server
