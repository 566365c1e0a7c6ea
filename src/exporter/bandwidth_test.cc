#include "exporter/bandwidth.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;

TEST(BandwidthLimiter, WithoutALimitNobodyWaits) {
  ManualClock clock;
  for (const std::int64_t rate : {0, -5}) {
    BandwidthLimiter limiter(rate, clock);
    EXPECT_TRUE(limiter.unlimited());
    EXPECT_TRUE(limiter.acquire(std::int64_t{1} << 40, {}));
  }
}

TEST(BandwidthLimiter, AStopThatWasRequestedBeforeSendsNothing) {
  ManualClock clock;
  std::stop_source stop;
  stop.request_stop();
  BandwidthLimiter unlimited(0, clock);
  EXPECT_FALSE(unlimited.acquire(1, stop.get_token()));
  BandwidthLimiter limited(8'000, clock);
  EXPECT_FALSE(limited.acquire(1, stop.get_token()));
}

TEST(BandwidthLimiter, OneSecondMayGoAtOnceThenTheRateHolds) {
  SystemClock clock;
  // 80 kbit/s are 10,000 bytes a second.
  BandwidthLimiter limiter(80'000, clock);
  const Instant before = clock.now();
  EXPECT_TRUE(limiter.acquire(10'000, {}));
  EXPECT_TRUE(limiter.acquire(500, {}));
  EXPECT_TRUE(limiter.acquire(500, {}));
  EXPECT_GE(clock.now() - before, 99ms) << "1,000 bytes beyond the burst";
}

TEST(BandwidthLimiter, AStopEndsTheWaitOfEveryUpload) {
  ManualClock clock;  // stands still: the rate alone would never let them go
  BandwidthLimiter limiter(8, clock);
  ASSERT_TRUE(limiter.acquire(1, {})) << "the burst";
  std::stop_source stop;
  std::atomic<int> refused{0};
  std::vector<std::thread> uploads;
  uploads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    uploads.emplace_back([&] {
      if (!limiter.acquire(1'000'000, stop.get_token())) ++refused;
    });
  }
  stop.request_stop();
  for (auto& upload : uploads) upload.join();
  EXPECT_EQ(refused, 4);
}

}  // namespace
}  // namespace weir::exporter
