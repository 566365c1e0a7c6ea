#include "mqtt/unacknowledged.h"

#include "base/rng.h"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>

namespace weir::mqtt {
namespace {

TEST(Unacknowledged, all_identifiers_fit_at_once) {
  Unacknowledged messages;
  for (unsigned id = 1; id <= 65'535; ++id) messages.add(static_cast<std::uint16_t>(id), 1);
  EXPECT_EQ(messages.size(), 65'535U);
  for (unsigned id = 1; id <= 65'535; ++id) {
    ASSERT_TRUE(messages.acknowledge(static_cast<std::uint16_t>(id)));
  }
  for (unsigned id = 1; id <= 65'535; ++id) {
    const auto released = messages.release();
    ASSERT_TRUE(released);
    ASSERT_EQ(released->packet_id, id);
  }
  EXPECT_FALSE(messages.release());
}

TEST(Unacknowledged, any_order_in_is_the_order_of_arrival_out) {
  struct One {
    std::uint16_t id;
    bool acknowledged;
  };
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Unacknowledged messages;
    std::deque<One> model;
    const std::uint64_t ids = 1 + rng.below(200);
    for (int step = 0; step < 2'000; ++step) {
      const auto id = static_cast<std::uint16_t>(1 + rng.below(ids));
      const auto known =
          std::find_if(model.begin(), model.end(), [id](const One& one) { return one.id == id; });
      ASSERT_EQ(messages.contains(id), known != model.end());
      switch (rng.below(4)) {
        case 0:
        case 1:
          if (known == model.end()) {
            messages.add(id, 1);
            model.push_back({id, false});
          }
          break;
        case 2: {
          const bool first_time = known != model.end() && !known->acknowledged;
          ASSERT_EQ(messages.acknowledge(id), first_time);
          if (first_time) known->acknowledged = true;
          break;
        }
        default: {
          const auto released = messages.release();
          const bool expected = !model.empty() && model.front().acknowledged;
          ASSERT_EQ(released.has_value(), expected);
          if (expected) {
            ASSERT_EQ(released->packet_id, model.front().id);
            model.pop_front();
          }
          if (rng.chance(0.002)) {
            messages.clear();
            model.clear();
          }
        }
      }
      ASSERT_EQ(messages.size(), model.size());
    }
  }
}

}  // namespace
}  // namespace weir::mqtt
