#include "admin/history.h"

#include "admin/json_text.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace weir::admin {
namespace {

constexpr std::uint16_t kNone = 0xFFFF;
constexpr unsigned kMantissaBits = 10;
constexpr double kThousandths = 1000;

std::size_t place(std::uint64_t step, std::size_t points) {
  return static_cast<std::size_t>(step % points);
}

void write_points(JsonText& json, const std::uint16_t* ring, std::size_t points,
                  std::uint64_t newest) {
  json.open('[');
  const std::uint64_t count = std::min<std::uint64_t>(points, newest + 1);
  for (std::uint64_t step = newest + 1 - count; step <= newest; ++step) {
    const std::uint16_t code = ring[place(step, points)];
    if (code == kNone) {
      json.null();
    } else {
      json.rate(history_value(code));
    }
  }
  json.close(']');
}

}  // namespace

std::uint16_t history_code(double value) {
  constexpr double kMost = 9e18;
  if (std::isnan(value) || value <= 0) return 0;
  const auto whole = static_cast<std::uint64_t>(std::min(std::round(value * kThousandths), kMost));
  const auto exponent_of = [](std::uint64_t number) {
    const auto width = static_cast<unsigned>(std::bit_width(number));
    return width <= kMantissaBits ? 0U : width - kMantissaBits;
  };
  unsigned exponent = exponent_of(whole);
  if (exponent == 0) return static_cast<std::uint16_t>(whole);
  // To the nearest, which may be one digit longer.
  const std::uint64_t rounded = whole + (exponent > 1 ? std::uint64_t{1} << (exponent - 2) : 0);
  exponent = std::max(1U, exponent_of(rounded));
  const auto mantissa =
      static_cast<unsigned>((rounded >> (exponent - 1)) & ((1U << kMantissaBits) - 1));
  return static_cast<std::uint16_t>((exponent << kMantissaBits) | mantissa);
}

double history_value(std::uint16_t code) {
  const unsigned exponent = static_cast<unsigned>(code) >> kMantissaBits;
  const unsigned mantissa = code & ((1U << kMantissaBits) - 1);
  if (exponent == 0) return mantissa / kThousandths;
  return std::ldexp(mantissa | (1U << kMantissaBits), static_cast<int>(exponent) - 1) /
         kThousandths;
}

History::~History() {
  if (rings_) clock_->bytes_ -= sizeof(Rings);
}

History::History(History&& other) noexcept = default;

void History::add(double value) {
  const std::uint64_t step = clock_->steps() - 1;
  const std::uint16_t code = history_code(value);
  if (refused_) return;
  if (!any_) {
    any_ = true;
    first_step_ = last_step_ = step;
    last_ = code;
    return;
  }
  if (!rings_) {
    if (code == last_) {
      last_step_ = step;
      return;
    }
    if (clock_->bytes_ + sizeof(Rings) > HistoryClock::kBytesMax) {
      refused_ = true;
      return;
    }
    clock_->bytes_ += sizeof(Rings);
    rings_ = std::make_unique<Rings>();
    rings_->short_points.fill(kNone);
    rings_->long_points.fill(kNone);
    constexpr std::uint64_t kBack = HistoryClock::kStepsPerLong * HistoryClock::kLongPoints;
    const std::uint64_t from = std::max(first_step_, last_step_ - std::min(last_step_, kBack));
    for (std::uint64_t past = from; past <= last_step_; ++past) put(past, last_);
  }
  // What was not seen was not there: a line would be made up.
  constexpr std::uint64_t kGapMax = HistoryClock::kStepsPerLong * HistoryClock::kLongPoints;
  for (std::uint64_t gap = std::max(last_step_ + 1, step - std::min(step, kGapMax)); gap < step;
       ++gap) {
    put(gap, kNone);
  }
  put(step, code);
  last_ = code;
  last_step_ = step;
}

void History::put(std::uint64_t step, std::uint16_t code) {
  rings_->short_points[place(step, HistoryClock::kShortPoints)] = code;
  if ((step + 1) % HistoryClock::kStepsPerLong == 0) close_long(step);
}

void History::close_long(std::uint64_t step) {
  double sum = 0;
  unsigned count = 0;
  std::uint16_t newest = kNone;
  for (std::uint64_t back = 0; back < HistoryClock::kStepsPerLong && back <= step; ++back) {
    const auto code = rings_->short_points[place(step - back, HistoryClock::kShortPoints)];
    if (code == kNone) continue;
    if (newest == kNone) newest = code;
    sum += history_value(code);
    ++count;
  }
  const bool mean = kind_ == Kind::kRate && count > 0;
  rings_->long_points[place(step / HistoryClock::kStepsPerLong, HistoryClock::kLongPoints)] =
      mean ? history_code(sum / count) : newest;
}

void History::write_short(JsonText& json) const {
  if (!any_ || refused_) {
    json.null();
  } else if (!rings_) {
    json.rate(history_value(last_));
  } else {
    write_points(json, rings_->short_points.data(), HistoryClock::kShortPoints, last_step_);
  }
}

void History::write_long(JsonText& json) const {
  if (!any_ || refused_) {
    json.null();
  } else if (!rings_) {
    json.rate(history_value(last_));
  } else if (last_step_ + 1 < HistoryClock::kStepsPerLong) {
    json.open('[').close(']');
  } else {
    write_points(json, rings_->long_points.data(), HistoryClock::kLongPoints,
                 (last_step_ + 1) / HistoryClock::kStepsPerLong - 1);
  }
}

}  // namespace weir::admin
