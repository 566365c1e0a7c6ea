#include "exporter/bandwidth.h"

#include "base/rng.h"
#include "exporter/upload_turns.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace weir::exporter {
namespace {

using namespace std::chrono_literals;

TEST(BandwidthLimiter, WithoutALimitNobodyWaits) {
  ManualClock clock;
  for (const std::int64_t rate : {0, -5}) {
    BandwidthLimiter limiter(rate, clock);
    EXPECT_TRUE(limiter.unlimited());
    EXPECT_TRUE(limiter.acquire(std::int64_t{1} << 40, 1, {}));
  }
}

TEST(BandwidthLimiter, AStopThatWasRequestedBeforeSendsNothing) {
  ManualClock clock;
  std::stop_source stop;
  stop.request_stop();
  BandwidthLimiter unlimited(0, clock);
  EXPECT_FALSE(unlimited.acquire(1, 1, stop.get_token()));
  BandwidthLimiter limited(8'000, clock);
  EXPECT_FALSE(limited.acquire(1, 1, stop.get_token()));
}

TEST(BandwidthLimiter, OneSecondMayGoAtOnceThenTheRateHolds) {
  SystemClock clock;
  // 80 kbit/s are 10,000 bytes a second.
  BandwidthLimiter limiter(80'000, clock);
  const Instant before = clock.now();
  EXPECT_TRUE(limiter.acquire(10'000, 1, {}));
  EXPECT_TRUE(limiter.acquire(500, 1, {}));
  EXPECT_TRUE(limiter.acquire(500, 1, {}));
  EXPECT_GE(clock.now() - before, 99ms) << "1,000 bytes beyond the burst";
}

TEST(BandwidthLimiter, AStopEndsTheWaitOfEveryUpload) {
  ManualClock clock;  // stands still: the rate alone would never let them go
  BandwidthLimiter limiter(8, clock);
  ASSERT_TRUE(limiter.acquire(1, 1, {})) << "the burst";
  std::stop_source stop;
  std::atomic<int> refused{0};
  std::vector<std::thread> uploads;
  uploads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    uploads.emplace_back([&] {
      if (!limiter.acquire(1'000'000, 1, stop.get_token())) ++refused;
    });
  }
  stop.request_stop();
  for (auto& upload : uploads) upload.join();
  EXPECT_EQ(refused, 4);
}

TEST(BandwidthLimiter, WhoeverWaitsGoesOnWhenTheOneBeforeGivesUp) {
  SystemClock clock;
  BandwidthLimiter limiter(8 * 1'000, clock);
  ASSERT_TRUE(limiter.acquire(1'000, 1, {})) << "the burst";
  std::stop_source stop;
  bool alarm = true;
  std::thread first([&] { alarm = limiter.acquire(1'000'000, 1, stop.get_token()); });
  std::thread second([&] { EXPECT_TRUE(limiter.acquire(1, 10, {})); });
  stop.request_stop();
  first.join();
  second.join();
  EXPECT_FALSE(alarm);
}

constexpr std::int64_t kRate = 250'000;  // bytes a second: 2 Mbit/s
const Instant kBegin{1h};

// An export that sends one body after the other, in simulated time: each piece when its turn comes,
// then the answer, then the next body.
struct Upload {
  std::int64_t priority = 10;
  std::function<std::int64_t()> next_body;
  std::int64_t bodies_max = std::numeric_limits<std::int64_t>::max();
  Instant ready = kBegin;
  std::optional<UploadTurns::Place> place = {};
  std::int64_t left = 0;
  std::int64_t sent = 0;
  std::int64_t bodies = 0;
  Instant done = {};  // when the last body was out
};

// Uploads that share one line. `sent_in` is what went out, by second.
class SharedLine {
 public:
  SharedLine(std::vector<Upload> all, std::uint64_t seed) : uploads(std::move(all)), rng_(seed) {}

  void run(Duration time) {
    sent_in.resize(static_cast<std::size_t>(time / 1s) + 1, 0);
    while (now_ < kBegin + time && step()) {
    }
  }

  std::vector<Upload> uploads;
  std::vector<std::int64_t> sent_in;

 private:
  // The next thing that happens: one lines up for its piece, or the first in line sends it.
  bool step() {
    Upload* next = nullptr;
    Instant at = Instant::max();
    for (Upload& upload : uploads) {
      if (upload.left == 0 && upload.bodies == upload.bodies_max) continue;
      const Instant then = upload.place ? turns_.turn(*upload.place, now_) : upload.ready;
      if (then < at) {
        next = &upload;
        at = then;
      }
    }
    if (next == nullptr) return false;
    now_ = std::max(now_, at);
    next->place ? send(*next) : line_up(*next);
    return true;
  }

  void line_up(Upload& upload) {
    if (upload.left == 0) upload.left = upload.next_body();
    upload.place = turns_.line_up(upload.priority, piece(upload));
  }

  void send(Upload& upload) {
    const std::int64_t bytes = piece(upload);
    turns_.leave(*std::exchange(upload.place, std::nullopt), true, now_);
    const auto second = static_cast<std::size_t>((now_ - kBegin) / 1s);
    if (second < sent_in.size()) sent_in[second] += bytes;
    upload.left -= bytes;
    upload.sent += bytes;
    upload.ready = now_ + std::chrono::microseconds(bytes / 100);  // a link of 100 MB/s
    if (upload.left > 0) return;
    ++upload.bodies;
    upload.done = now_;
    upload.ready += std::chrono::milliseconds(rng_.below(20));  // the answer
  }

  static std::int64_t piece(const Upload& upload) {
    return std::min(upload.left, BandwidthLimiter::kPieceBytes);
  }

  Rng rng_;
  UploadTurns turns_{kRate};
  Instant now_ = kBegin;
};

void expect_the_rate_over_any_minute(const SharedLine& line, std::size_t seconds) {
  for (std::size_t from = 0; from + 60 <= seconds; ++from) {
    const auto first = line.sent_in.begin() + static_cast<std::ptrdiff_t>(from);
    const std::int64_t bytes = std::accumulate(first, first + 60, std::int64_t{0});
    EXPECT_GE(bytes, kRate * 57) << "from second " << from;
    EXPECT_LE(bytes, kRate * 63) << "from second " << from;
  }
}

// Bodies of any size; a third of them goes again because its call failed.
std::function<std::int64_t()> any_body(Rng& rng) {
  return [&rng, body = std::int64_t{1}]() mutable {
    if (rng.below(3) != 0) body = 1 + static_cast<std::int64_t>(rng.below(400'000));
    return body;
  };
}

TEST(UploadTurns, OverAnyMinuteAllUploadsWithTheirRetriesComeToTheRate) {
  const std::uint64_t seed = 20261120;
  Rng rng(seed);
  std::vector<Upload> uploads;
  for (int i = 0; i < 5; ++i) uploads.push_back({10, any_body(rng)});
  SharedLine line(std::move(uploads), seed);
  line.run(300s);
  expect_the_rate_over_any_minute(line, 300);
  const auto [least, most] = std::minmax_element(line.uploads.begin(), line.uploads.end(),
                                                 [](auto& a, auto& b) { return a.sent < b.sent; });
  EXPECT_GT(least->sent * 10, most->sent * 8) << "they take turns";
}

TEST(UploadTurns, ABacklogOfBetterPriorityGetsEverything) {
  const std::uint64_t seed = 7;
  Rng rng(seed);
  SharedLine line({{10, any_body(rng)}, {1, any_body(rng)}}, seed);
  line.run(300s);
  expect_the_rate_over_any_minute(line, 300);
  EXPECT_LT(line.uploads[0].sent, kRate * 2) << "no more than what the burst let through";
  EXPECT_GT(line.uploads[1].sent, kRate * 295);
}

TEST(UploadTurns, AlarmsOvertakeBodiesThatHaveBegun) {
  constexpr std::int64_t kAlarm = 10'000;
  std::vector<Upload> uploads(4, Upload{10, [] { return std::int64_t{900'000}; }});
  uploads.push_back({1, [] { return kAlarm; }, 500, kBegin + 2s});
  SharedLine line(std::move(uploads), 3);
  line.run(60s);
  const Upload& alarms = line.uploads.back();
  ASSERT_EQ(alarms.bodies, 500);
  const Duration alone = std::chrono::seconds(500 * kAlarm / kRate);
  // Between two alarms, while the answer is on its way, the line may take up a piece.
  EXPECT_LT(alarms.done - (kBegin + 2s), alone * 5 / 4);
  expect_the_rate_over_any_minute(line, 60);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_GT(line.uploads[i].bodies, 0) << "afterwards they go on";
}

TEST(UploadTurns, WhoSendsNowAndThenWaitsForOnePieceOfOthersAtMost) {
  UploadTurns turns(kRate);
  Instant now = kBegin;
  const auto piece = BandwidthLimiter::kPieceBytes;
  const auto send_one = [&](const UploadTurns::Place& place) {
    now = turns.turn(place, now);
    turns.leave(place, true, now);
  };
  for (std::int64_t sent = 0; sent < kRate; sent += piece) send_one(turns.line_up(10, piece));
  send_one(turns.line_up(10, piece));
  std::vector<UploadTurns::Place> line;
  for (int i = 0; i < 100; ++i) line.push_back(turns.line_up(10, piece));
  const auto alarm = turns.line_up(1, 100);
  EXPECT_LE(turns.turn(alarm, now) - now, std::chrono::microseconds(piece * 1'000'000 / kRate));
  EXPECT_EQ(turns.turn(line.front(), now), Instant::max()) << "however long it has been waiting";
  turns.leave(alarm, false, now);
  EXPECT_LT(turns.turn(line.front(), now), Instant::max()) << "unless the alarm gives up";
}

}  // namespace
}  // namespace weir::exporter
