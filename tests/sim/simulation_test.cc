#include "world.h"

#include <gtest/gtest.h>

namespace weir::sim {
namespace {

// Sanitizers make a world about ten times as slow; `sim --count` runs as many as one likes.
#ifdef WEIR_SANITIZED
constexpr std::uint64_t kSeeds = 200;
#else
constexpr std::uint64_t kSeeds = 2'000;
#endif

TEST(Simulation, EveryMessageIsDeliveredOrAccountedFor) {
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
  constexpr std::uint64_t kTries = 60;
  bool found = false;
  for (std::uint64_t seed = 1; seed <= kTries && !found; ++seed) {
    World world(seed, GetParam());
    found = !world.run(400).empty();
  }
  EXPECT_TRUE(found);
}

INSTANTIATE_TEST_SUITE_P(Bugs, SabotageTest,
                         ::testing::Values(Sabotage::kTakesNothing, Sabotage::kPositionAhead,
                                           Sabotage::kSkipsOne, Sabotage::kNewBeforeResend,
                                           Sabotage::kMissesMoves));

}  // namespace
}  // namespace weir::sim
