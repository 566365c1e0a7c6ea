#include "exporter/bandwidth.h"

#include "base/rng.h"
#include "base/token_bucket.h"

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <numeric>
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

// Five exports with a backlog, in simulated time: each body goes in pieces, each piece when the
// bucket says, and a third of the bodies goes again because its call failed.
TEST(BandwidthLimiter, OverAnyMinuteAllUploadsWithTheirRetriesComeToTheRate) {
  constexpr std::int64_t kRate = 250'000;  // bytes a second: 2 Mbit/s
  struct Upload {
    Instant ready;
    std::int64_t body = 0;
    std::int64_t left = 0;
    std::int64_t sent = 0;
  };
  const std::uint64_t seed = 20261120;
  Rng rng(seed);
  TokenBucket bucket(kRate, kRate);
  const Instant begin{1h};
  std::vector<Upload> uploads(5, Upload{begin});
  std::vector<std::int64_t> sent_in(360, 0);  // by second
  for (Instant now = begin; now < begin + 300s;) {
    Upload& upload = *std::min_element(uploads.begin(), uploads.end(),
                                       [](auto& a, auto& b) { return a.ready < b.ready; });
    now = upload.ready;
    if (upload.left == 0) {
      if (rng.below(3) != 0) upload.body = 1 + static_cast<std::int64_t>(rng.below(400'000));
      if (upload.body == 0) upload.body = 1;
      upload.left = upload.body;
    }
    const std::int64_t piece = std::min(upload.left, BandwidthLimiter::kPieceBytes);
    const Instant at = bucket.reserve(piece, now);
    const auto second = std::chrono::duration_cast<std::chrono::seconds>(at - begin).count();
    sent_in.at(static_cast<std::size_t>(second)) += piece;
    upload.left -= piece;
    upload.sent += piece;
    upload.ready = at + std::chrono::microseconds(piece / 100);  // a link of 100 MB/s
    if (upload.left == 0) upload.ready += std::chrono::milliseconds(rng.below(80));  // the answer
  }
  for (std::size_t from = 0; from + 60 <= 300; ++from) {
    const auto first = sent_in.begin() + static_cast<std::ptrdiff_t>(from);
    const std::int64_t bytes = std::accumulate(first, first + 60, std::int64_t{0});
    EXPECT_GE(bytes, kRate * 57) << "from second " << from << ", seed " << seed;
    EXPECT_LE(bytes, kRate * 63) << "from second " << from << ", seed " << seed;
  }
  const auto [least, most] = std::minmax_element(uploads.begin(), uploads.end(),
                                                 [](auto& a, auto& b) { return a.sent < b.sent; });
  EXPECT_GT(least->sent * 10, most->sent * 8) << "they take turns, seed " << seed;
}

}  // namespace
}  // namespace weir::exporter
