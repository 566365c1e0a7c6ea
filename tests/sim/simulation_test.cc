#include "world.h"

#include <gtest/gtest.h>

namespace weir::sim {
namespace {

TEST(Simulation, EveryMessageIsDeliveredOrAccountedFor) {
  constexpr std::uint64_t kSeeds = 2'000;
  std::int64_t taken = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    World world(seed, Sabotage::kNone);
    ASSERT_EQ(world.run(400), "") << "seed " << seed << " (sim --seed " << seed << ")\n"
                                  << world.story();
    taken += world.taken();
  }
  EXPECT_GT(taken, static_cast<std::int64_t>(kSeeds) * 50) << "the worlds were too quiet";
}

// A checker that has never failed proves nothing.
class SabotageTest : public ::testing::TestWithParam<Sabotage> {};

TEST_P(SabotageTest, IsFound) {
  constexpr std::uint64_t kSeeds = 60;
  int found = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    World world(seed, GetParam());
    if (!world.run(400).empty()) ++found;
  }
  EXPECT_GT(found, 0);
}

INSTANTIATE_TEST_SUITE_P(Bugs, SabotageTest,
                         ::testing::Values(Sabotage::kTakesNothing, Sabotage::kPositionAhead,
                                           Sabotage::kSkipsOne, Sabotage::kNewBeforeResend,
                                           Sabotage::kMissesMoves));

}  // namespace
}  // namespace weir::sim
