#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace weir::admin {

class JsonText;

/// When the points of all histories were taken, and how much memory they take together.
///
/// A point is taken every `kStepMs`; every `kStepsPerLong` of them become one long point. Each is
/// two bytes, so that the last hours of a thousand streams fit `kBytesMax`. Threads: one.
class HistoryClock {
 public:
  static constexpr std::int64_t kStepMs = 10'000;
  static constexpr std::size_t kShortPoints = 60;  ///< ten minutes
  static constexpr std::size_t kStepsPerLong = 20;
  static constexpr std::size_t kLongPoints = 72;  ///< four hours
  /// All histories together. Those that never changed take nothing.
  static constexpr std::size_t kBytesMax = std::size_t{896} << 10;

  /// Before the points of one step are added.
  void begin_step() { ++steps_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  friend class History;
  std::uint64_t steps_ = 0;
  std::size_t bytes_ = 0;
};

/// One figure over time, at two resolutions, exact to a thousandth. It takes memory only once
/// the figure has changed, and if the clock has room left; until then it is a straight line.
///
/// Lifetime: the clock outlives it.
class History {
 public:
  /// What a long point is made of: the mean (a rate), or the newest of its short points (a level).
  enum class Kind : std::uint8_t { kRate, kLevel };

  History(HistoryClock& clock, Kind kind) : clock_(&clock), kind_(kind) {}
  ~History();
  History(History&& other) noexcept;
  History& operator=(History&&) = delete;
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  /// The figure of the present step; once a step, but steps may be missed.
  void add(double value);
  /// Appends an array, oldest first, null where nothing is known; or one number if all are alike.
  void write_short(JsonText& json) const;
  void write_long(JsonText& json) const;
  /// False if it had to be given up because of `HistoryClock::kBytesMax`.
  [[nodiscard]] bool kept() const { return !refused_; }

 private:
  struct Rings {
    std::array<std::uint16_t, HistoryClock::kShortPoints> short_points;
    std::array<std::uint16_t, HistoryClock::kLongPoints> long_points;
  };
  void put(std::uint64_t step, std::uint16_t code);
  void close_long(std::uint64_t step);

  HistoryClock* clock_;
  Kind kind_;
  bool refused_ = false;
  bool any_ = false;
  std::uint16_t last_ = 0;  // while there are no rings, all points since `first_`
  std::uint64_t first_step_ = 0;
  std::uint64_t last_step_ = 0;
  std::unique_ptr<Rings> rings_;
};

/// A figure in 16 bits: ten bits of it behind the leading one, in thousandths. Negative: 0.
std::uint16_t history_code(double value);
double history_value(std::uint16_t code);

}  // namespace weir::admin
