#pragma once

#include "base/mutex.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::metrics {

enum class Type : unsigned char { kCounter, kGauge };

/// What a metric is. Each folder declares its own in `metrics.h`, named
/// `weir_<folder>_<noun>_<unit>[_total]`; docs/metrics.md lists them all and a test compares.
struct Descriptor {
  const char* name;
  Type type;
  const char* labels;  ///< label names, separated by commas, in the order values are given
  const char* help;
};

/// A number that only grows. Threads: any.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that goes up and down. Threads: any.
class Gauge {
 public:
  void set(std::int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Takes the samples of one scrape.
class Samples {
 public:
  virtual ~Samples() = default;
  /// `label_values` in the order of `descriptor.labels`.
  virtual void add(const Descriptor& descriptor,
                   std::initializer_list<std::string_view> label_values, double value) = 0;
};

/// All metrics of one process. Threads: any.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The counter or gauge with these label values, made on first use; lives as long as the
  /// registry. `descriptor` must outlive it too.
  Counter& counter(const Descriptor& descriptor,
                   std::initializer_list<std::string_view> label_values = {});
  Gauge& gauge(const Descriptor& descriptor,
               std::initializer_list<std::string_view> label_values = {});

  /// Called at every scrape, on the scraping thread, for figures that are cheaper to look up than
  /// to keep (one per stream, say). Must not block on the core thread.
  void add_collector(std::function<void(Samples&)> collector);

  /// Everything in the Prometheus text format 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  struct Series;
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<Series>> series_ WEIR_GUARDED_BY(mutex_);
  std::vector<std::function<void(Samples&)>> collectors_ WEIR_GUARDED_BY(mutex_);

  Series& series(const Descriptor& descriptor, std::initializer_list<std::string_view> values);
};

}  // namespace weir::metrics
