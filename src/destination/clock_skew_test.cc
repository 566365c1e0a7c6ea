#include "destination/clock_skew.h"

#include "destination/testing/scripted_transport.h"

#include <gtest/gtest.h>

namespace weir::destination {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::answer;

constexpr std::int64_t kNowMs = 1'767'323'045'000;  // Fri, 02 Jan 2026 03:04:05 GMT

class ClockSkewTest : public ::testing::Test {
 protected:
  bool learn(const char* date, Duration round_trip = seconds(0)) {
    const Instant sent_at = clock.now();
    const std::int64_t sent_wall_ms = clock.wall_ms();
    clock.advance(round_trip);
    return skew.learn(answer(200, "", {{"date", date}}), sent_at, sent_wall_ms, clock);
  }
  ManualClock clock{kNowMs};
  ClockSkew skew;
};

TEST_F(ClockSkewTest, LessThanFourMinutesIsNoDifference) {
  EXPECT_FALSE(learn("Fri, 02 Jan 2026 03:08:04 GMT"));
  EXPECT_EQ(skew.wall_ms(clock), kNowMs);
  EXPECT_TRUE(learn("Fri, 02 Jan 2026 03:08:05 GMT"));
  EXPECT_EQ(skew.offset_ms(), 240'000);
  EXPECT_EQ(skew.wall_ms(clock), kNowMs + 240'000);
}

TEST_F(ClockSkewTest, TheSameDifferenceAgainIsNoNews) {
  EXPECT_TRUE(learn("Fri, 02 Jan 2026 02:04:05 GMT"));
  EXPECT_FALSE(learn("Fri, 02 Jan 2026 02:04:06 GMT"));
  EXPECT_EQ(skew.wall_ms(clock), kNowMs - 3'600'000);
}

TEST_F(ClockSkewTest, HalfOfTheRoundTripPassedSinceTheDateWasWritten) {
  EXPECT_TRUE(learn("Fri, 02 Jan 2026 04:04:05 GMT", minutes(2)));
  EXPECT_EQ(skew.wall_ms(clock), kNowMs + 3'600'000 + 60'000);
  EXPECT_EQ(skew.offset_ms(), 3'600'000 - 60'000);
}

// A gateway without a battery starts in 1970, signs with the server's time, and then gets its own.
TEST_F(ClockSkewTest, AStepOfOurClockDoesNotMoveTheServersTime) {
  clock = ManualClock(0);
  EXPECT_TRUE(learn("Fri, 02 Jan 2026 03:04:05 GMT"));
  EXPECT_EQ(skew.wall_ms(clock), kNowMs);
  clock.advance(seconds(10));
  clock.step_wall_ms(kNowMs);
  EXPECT_EQ(skew.wall_ms(clock), kNowMs + 10'000);
  EXPECT_FALSE(learn("Fri, 02 Jan 2026 03:04:15 GMT")) << "what was signed is still right";
  EXPECT_EQ(skew.offset_ms(), 0) << "our clock agrees now";
}

TEST_F(ClockSkewTest, DatesThatSayNothingAreIgnored) {
  EXPECT_FALSE(learn("tomorrow"));
  EXPECT_FALSE(learn("Fri, 02 Jan 2026 05:04:05 GMT", minutes(15))) << "it took too long";
  EXPECT_FALSE(
      skew.learn(answer(200, "", {{"date", "Fri, 02 Jan 2026 09:04:05 GMT"}, {"age", "7"}}),
                 clock.now(), clock.wall_ms(), clock))
      << "a cache wrote it";
  EXPECT_FALSE(skew.learn(testing::no_answer("reset"), clock.now(), clock.wall_ms(), clock));
}

class ServiceTimeTest : public ::testing::Test {
 protected:
  void hear(std::vector<HttpHeader> headers, Duration round_trip = seconds(0)) {
    const Instant sent_at = clock.now();
    clock.advance(round_trip);
    time.hear(answer(200, "", std::move(headers)), sent_at, clock);
  }
  void hear_and_believe(const char* date, Duration round_trip = seconds(0)) {
    hear({{"date", date}}, round_trip);
    time.believe();
  }
  ManualClock clock{kNowMs};
  ServiceTime time;
};

TEST_F(ServiceTimeTest, OnlyAnAnswerThatIsBelievedTellsIt) {
  EXPECT_EQ(time.wall_ms(clock), std::nullopt);
  hear({{"date", "Fri, 02 Jan 2026 03:04:05 GMT"}});
  EXPECT_EQ(time.wall_ms(clock), std::nullopt);
  time.believe();
  EXPECT_EQ(time.wall_ms(clock), kNowMs);
  hear({{"date", "Sat, 01 Nov 2025 03:04:05 GMT"}});
  EXPECT_EQ(time.wall_ms(clock), kNowMs) << "a proxy's";
}

TEST_F(ServiceTimeTest, ItGoesOnWithTheMonotonicClockForAMinute) {
  hear_and_believe("Fri, 02 Jan 2026 03:03:05 GMT", seconds(10));
  EXPECT_EQ(time.wall_ms(clock), kNowMs - 60'000 + 5'000) << "half of the round trip later";
  clock.advance(seconds(59));
  EXPECT_EQ(time.wall_ms(clock), kNowMs + 4'000);
  clock.advance(seconds(1));
  EXPECT_EQ(time.wall_ms(clock), std::nullopt);
}

// The wall clock only says that something happened, never what time it is.
TEST_F(ServiceTimeTest, AStepOfOurClockEndsIt) {
  for (const int step_ms : {-3'600'000, 3'600'000}) {
    hear_and_believe("Fri, 02 Jan 2026 03:04:05 GMT");
    clock.step_wall_ms(step_ms);
    EXPECT_EQ(time.wall_ms(clock), std::nullopt);
    hear_and_believe("Fri, 02 Jan 2026 03:04:05 GMT");
    EXPECT_EQ(time.wall_ms(clock), kNowMs);
  }
  clock.step_wall_ms(59'000);
  EXPECT_EQ(time.wall_ms(clock), kNowMs) << "small corrections are everyday life";
}

TEST_F(ServiceTimeTest, AnAnswerWithoutAUsableDateChangesNothing) {
  hear_and_believe("Fri, 02 Jan 2026 03:04:05 GMT");
  hear({});
  time.believe();
  hear({{"date", "Fri, 02 Jan 2026 09:04:05 GMT"}, {"age", "7"}});
  time.believe();
  EXPECT_EQ(time.wall_ms(clock), kNowMs);
  hear_and_believe("Fri, 02 Jan 2026 03:04:05 GMT", minutes(15));
  EXPECT_EQ(time.wall_ms(clock), std::nullopt) << "it was too long under way";
}

}  // namespace
}  // namespace weir::destination
