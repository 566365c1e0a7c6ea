#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "cloud.h"
#include "exporter/fakes.h"
#include "exporter/scheduler.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::sim {

/// A whole export engine without threads on a virtual clock: streams that grow and forget, clouds
/// with faults, a process that is killed. Every choice comes from one seed.
class World {
 public:
  World(std::uint64_t seed, Sabotage sabotage);
  ~World();

  /// Random events with every promise checked after each; then all faults end and every message
  /// must arrive. Returns the first broken promise, or nothing.
  std::string run(int steps);

  [[nodiscard]] std::int64_t taken() const;
  [[nodiscard]] const std::string& story() const { return story_; }

 private:
  struct Export;
  struct Stream;
  class SimHands;

  void start_process();
  void kill_process();
  void random_event();
  void random_definition_change(Stream& stream);
  void define(Stream& stream);
  void place(const Stream& stream, Export& item);
  void save_definition_change(Stream& stream);
  void moved(const Stream& stream);
  void settle();
  void heal();
  void run_dry();
  bool work_once();
  void do_job();
  void report_job();
  void do_cursor_task();
  void check();
  void check_counters();
  void note(const std::string& what);
  Export* find(const std::string& stream, const std::string& identifier);

  Rng rng_;
  Sabotage sabotage_;
  ManualClock clock_;
  metrics::Registry metrics_;
  exporter::Options options_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Export>> all_exports_;
  int names_ = 0;
  std::string violation_;
  std::string story_;

  // The process; gone when it is killed.
  std::unique_ptr<SimHands> hands_;
  std::unique_ptr<exporter::MoveFilter> filter_;
  std::unique_ptr<exporter::StatusBoard> board_;
  std::unique_ptr<exporter::Reporter> reporter_;
  std::unique_ptr<exporter::Scheduler> scheduler_;
  Instant next_run_{};
  std::vector<std::pair<std::uint64_t, exporter::Delivery>> answers_;
};

}  // namespace weir::sim
