#pragma once

#include "base/rng.h"
#include "exporter/destination.h"
#include "exporter/fakes.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace weir::sim {

/// Deliberate bugs, to prove that the checks would find them.
enum class Sabotage : std::uint8_t {
  kNone,
  kTakesNothing,     ///< a failure is reported as a success
  kPositionAhead,    ///< positions are saved ahead of deliveries
  kSkipsOne,         ///< a delivery passes one message more than it sent
  kNewBeforeResend,  ///< new messages are sent before the refused ones
  kMissesMoves,      ///< the scheduler is not told of some moves
};

/// What the world behind one export did and saw since the export was last placed at `start`. It is
/// the simulation's own book, kept apart from the exporter's.
///
/// Broken promises are written to `violation`, first one first.
class Cloud {
 public:
  enum class Weather : std::uint8_t {
    kFine,
    kUnreachable,
    kThrottling,
    kDenied,
    kPartial,
    kLosesAnswers,
    kGarbled,  ///< answers for another number of messages
    kMixed
  };

  Cloud(std::shared_ptr<exporter::fake::Log> log, std::uint64_t seed, std::int64_t poison_every)
      : log_(std::move(log)), rng_(seed), poison_every_(poison_every) {}

  /// The export starts (again) at `start`; what was delivered before does not count any more.
  void place(std::int64_t start);
  /// The process was killed: every message may come once more.
  void process_killed() { ++kills_; }

  exporter::Outcome take(const exporter::Batch& batch);
  void set_weather(Weather weather) { weather_ = weather; }
  void sabotage(Sabotage value) { sabotage_ = value; }

  /// Checks that everything below `position` is delivered, refused for good or gone from the log.
  void check_position(std::int64_t position);
  /// Messages below `position` that were neither taken nor refused: they must be in a counter.
  [[nodiscard]] std::int64_t unaccounted(std::int64_t position) const;
  /// Those of them that were damaged in the log.
  [[nodiscard]] std::int64_t damaged(std::int64_t position) const;
  [[nodiscard]] std::int64_t taken() const { return taken_; }
  [[nodiscard]] std::int64_t start() const { return start_; }
  [[nodiscard]] const std::string& violation() const { return violation_; }
  void violate(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

 private:
  void check_arrival(const exporter::Batch& batch);
  [[nodiscard]] bool done(std::int64_t number) const;
  [[nodiscard]] bool poison(std::int64_t number) const {
    return poison_every_ > 0 && number % poison_every_ == 3;
  }
  void accept(std::int64_t number, bool answer_lost);

  std::shared_ptr<exporter::fake::Log> log_;
  Rng rng_;
  std::int64_t poison_every_;
  Weather weather_ = Weather::kFine;
  Sabotage sabotage_ = Sabotage::kNone;
  std::int64_t start_ = 0;
  std::int64_t checked_ = 0;  // every number in [start_, checked_) is done
  std::map<std::int64_t, int> accepted_;
  std::map<std::int64_t, int> lost_answers_;
  std::set<std::int64_t> refused_;
  std::int64_t kills_ = 0;
  std::int64_t taken_ = 0;
  std::string violation_;
};

}  // namespace weir::sim
