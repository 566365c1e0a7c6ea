#include "admin/history.h"

#include "admin/json_text.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <vector>

namespace weir::admin {
namespace {

std::string short_of(const History& history) {
  std::string out;
  JsonText json(out);
  history.write_short(json);
  return out;
}

std::string long_of(const History& history) {
  std::string out;
  JsonText json(out);
  history.write_long(json);
  return out;
}

std::size_t points_in(const std::string& array) {
  if (array == "[]") return 0;
  return static_cast<std::size_t>(std::count(array.begin(), array.end(), ',')) + 1;
}

TEST(History, figures_are_right_to_a_thousandth) {
  EXPECT_EQ(history_value(history_code(0)), 0);
  EXPECT_EQ(history_value(history_code(-5)), 0);
  EXPECT_EQ(history_value(history_code(std::nan(""))), 0);
  for (double value = 0.01; value < 1e15; value *= 1.37) {
    const double kept = history_value(history_code(value));
    EXPECT_NEAR(kept, value, std::max(0.0006, value / 1000)) << value;
    EXPECT_EQ(history_code(kept), history_code(value)) << "keeping it again changes nothing";
  }
  EXPECT_LT(history_code(1e300), 0xFFFF) << "that one means that nothing is known";
}

TEST(History, what_never_changes_is_one_number_and_takes_no_memory) {
  HistoryClock clock;
  History history(clock, History::Kind::kLevel);
  EXPECT_EQ(short_of(history), "null");
  for (int i = 0; i < 5'000; ++i) {
    clock.begin_step();
    history.add(7);
  }
  EXPECT_EQ(short_of(history), "7");
  EXPECT_EQ(long_of(history), "7");
}

TEST(History, what_was_still_for_long_remembers_that_when_it_moves) {
  HistoryClock clock;
  History history(clock, History::Kind::kLevel);
  for (int i = 0; i < 30; ++i) {
    clock.begin_step();
    history.add(i < 29 ? 5 : 6);
  }
  std::string wanted = "[";
  for (int i = 0; i < 29; ++i) wanted += "5,";
  EXPECT_EQ(short_of(history), wanted + "6]");
  EXPECT_EQ(long_of(history), "[5]");
}

// Against the plain way of doing it: everything is kept.
TEST(History, keeps_the_newest_points_of_both_resolutions) {
  HistoryClock clock;
  History rate(clock, History::Kind::kRate);
  History level(clock, History::Kind::kLevel);
  std::deque<int> all;
  for (int step = 0; step < 2'000; ++step) {
    const int value = (step * 37) % 100;
    clock.begin_step();
    rate.add(value);
    level.add(value);
    all.push_back(value);
    const std::string points = short_of(rate);
    if (step == 0) continue;  // one number: nothing has changed yet
    ASSERT_EQ(points_in(points), std::min<std::size_t>(all.size(), HistoryClock::kShortPoints));
    ASSERT_TRUE(points.ends_with("," + std::to_string(value) + "]")) << points;
  }
  std::vector<double> means;
  std::vector<int> lasts;
  for (std::size_t at = 0; at + HistoryClock::kStepsPerLong <= all.size();
       at += HistoryClock::kStepsPerLong) {
    double sum = 0;
    for (std::size_t i = 0; i < HistoryClock::kStepsPerLong; ++i) sum += all[at + i];
    means.push_back(sum / static_cast<double>(HistoryClock::kStepsPerLong));
    lasts.push_back(all[at + HistoryClock::kStepsPerLong - 1]);
  }
  const auto numbers = [](std::string text) {
    std::vector<double> found;
    text.erase(0, 1);
    std::istringstream in(text);
    for (std::string one; std::getline(in, one, ',');) found.push_back(std::stod(one));
    return found;
  };
  const auto kept_means = numbers(long_of(rate));
  const auto kept_lasts = numbers(long_of(level));
  ASSERT_EQ(kept_means.size(), HistoryClock::kLongPoints);
  for (std::size_t i = 0; i < kept_means.size(); ++i) {
    const std::size_t from = means.size() - kept_means.size() + i;
    EXPECT_NEAR(kept_means[i], means[from], 0.1);
    EXPECT_EQ(kept_lasts[i], lasts[from]);
  }
}

TEST(History, a_gap_is_shown_as_one) {
  HistoryClock clock;
  History history(clock, History::Kind::kRate);
  for (int i = 0; i < 6; ++i) {
    clock.begin_step();
    if (i == 2 || i == 3) continue;
    history.add(i);
  }
  EXPECT_EQ(short_of(history), "[0,1,null,null,4,5]");
}

TEST(History, all_together_stay_below_their_bound_and_say_what_was_given_up) {
  HistoryClock clock;
  std::vector<History> all;
  constexpr int kMany = 10'000;
  all.reserve(kMany);
  for (int i = 0; i < kMany; ++i) all.emplace_back(clock, History::Kind::kRate);
  for (int step = 0; step < 2; ++step) {
    clock.begin_step();
    for (auto& history : all) history.add(step);
  }
  const auto kept = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& h) { return h.kept(); }));
  EXPECT_GT(kept, HistoryClock::kBytesMax / 400);
  EXPECT_LT(kept, HistoryClock::kBytesMax / 200);
  EXPECT_EQ(short_of(all.back()), "null");
  // What is forgotten makes room.
  { History last = std::move(all.front()); }
  History late(clock, History::Kind::kRate);
  clock.begin_step();
  late.add(1);
  clock.begin_step();
  late.add(2);
  EXPECT_TRUE(late.kept());
  EXPECT_TRUE(short_of(late).ends_with(",1,2]")) << short_of(late);
}

}  // namespace
}  // namespace weir::admin
