// One set for all workers: early refresh, last good ones, at most one call at a time.

#include "destination/credentials/cache.h"

#include "base/clock.h"
#include "base/mutex.h"
#include "destination/credentials/fakes.h"
#include "destination/credentials/hub.h"
#include "destination/metrics.h"

#include <atomic>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <latch>
#include <thread>
#include <vector>

namespace weir::destination::credentials {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::kNowMs;

constexpr std::int64_t kMinuteMs = 60'000;

Credentials keys(const std::string& id, std::int64_t expires_ms) {
  Credentials set;
  set.access_key_id = id;
  set.secret_access_key = testing::kSecret;
  set.expires_ms = expires_ms;
  return set;
}

// What the source will say, and how often it was asked.
struct Well {
  std::function<Result<Fetched>(const std::stop_token&)> answer;
  std::atomic<int> asked{0};
};

class WellSource final : public Source {
 public:
  explicit WellSource(std::shared_ptr<Well> well) : well_(std::move(well)) {}
  Result<Fetched> fetch(const std::stop_token& stop) override {
    ++well_->asked;
    return well_->answer(stop);
  }

 private:
  std::shared_ptr<Well> well_;
};

// Runs background work beside the test, or while it is held, when the test says so.
class Later final : public Executor {
 public:
  void post(std::function<void()> work) override {
    const MutexLock lock(mutex_);
    if (held_) {
      work_.push_back(std::move(work));
    } else {
      threads_.emplace_back(std::move(work));
    }
  }
  void hold(bool held = true) {
    const MutexLock lock(mutex_);
    held_ = held;
  }
  void run() {
    while (waiting() > 0) {
      auto work = next();
      work();
    }
  }
  [[nodiscard]] std::size_t waiting() const {
    const MutexLock lock(mutex_);
    return work_.size();
  }
  /// Waits for what runs beside the test.
  void finish() { threads_.clear(); }

 private:
  std::function<void()> next() {
    const MutexLock lock(mutex_);
    auto work = std::move(work_.front());
    work_.pop_front();
    return work;
  }

  mutable Mutex mutex_;
  bool held_ WEIR_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> work_ WEIR_GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

// The test moves it while others look at it.
class SharedClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override {
    const MutexLock lock(mutex_);
    return clock_.now();
  }
  [[nodiscard]] std::int64_t wall_ms() const override {
    const MutexLock lock(mutex_);
    return clock_.wall_ms();
  }
  void advance(Duration by) {
    const MutexLock lock(mutex_);
    clock_.advance(by);
  }

 private:
  mutable Mutex mutex_;
  ManualClock clock_ WEIR_GUARDED_BY(mutex_){kNowMs};
};

class CachedCredentialsTest : public ::testing::Test {
 protected:
  void TearDown() override { later->finish(); }

  void gives(const std::string& id, std::int64_t expires_ms) {
    well->answer = [id, expires_ms](const auto&) -> Result<Fetched> {
      Fetched fetched;
      fetched.credentials = keys(id, expires_ms);
      fetched.source = "a well";
      return fetched;
    };
  }
  void fails(Errc code, const std::string& why) {
    well->answer = [code, why](const auto&) -> Result<Fetched> { return fail(code, why); };
  }
  std::string current() {
    auto set = cache->current({});
    return set ? set->access_key_id : "error: " + set.error().what;
  }
  std::string refresh(const std::string& id, std::int64_t expires_ms) {
    auto set = cache->refresh(keys(id, expires_ms), {});
    return set ? set->access_key_id : "error: " + set.error().what;
  }

  SharedClock clock;
  metrics::Registry metrics;
  std::shared_ptr<Well> well = std::make_shared<Well>();
  std::shared_ptr<Later> later = std::make_shared<Later>();
  std::shared_ptr<CachedCredentials> cache = CachedCredentials::make(
      "", std::make_unique<WellSource>(well), clock, metrics, later, std::stop_token());
};

TEST_F(CachedCredentialsTest, KeysThatNeverExpireAreFetchedOnce) {
  gives("A", 0);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(current(), "A");
    clock.advance(minutes(60));
  }
  EXPECT_EQ(well->asked, 1);
  EXPECT_EQ(later->waiting(), 0U);
}

TEST_F(CachedCredentialsTest, TheNextSetIsFetchedInTheBackgroundBeforeThisOneExpires) {
  gives("A", kNowMs + 60 * kMinuteMs);
  EXPECT_EQ(current(), "A");
  later->hold();
  clock.advance(minutes(49));
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 0U) << "10 minutes before the end, not earlier";
  clock.advance(minutes(1));
  gives("B", kNowMs + 120 * kMinuteMs);
  EXPECT_EQ(current(), "A") << "nobody waits for it";
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 1U) << "one refresh, whoever asks";
  later->run();
  EXPECT_EQ(current(), "B");
  EXPECT_EQ(well->asked, 2);
}

TEST_F(CachedCredentialsTest, TheLastGoodSetIsUsedWhileARefreshFailsUntilItReallyExpires) {
  gives("A", kNowMs + 60 * kMinuteMs);
  EXPECT_EQ(current(), "A");
  fails(Errc::kUnavailable, "the well is dry");
  clock.advance(minutes(50));
  later->hold();
  int refreshes = 0;
  for (int second = 0; second < 599; ++second) {
    EXPECT_EQ(current(), "A");
    if (later->waiting() > 0) ++refreshes;
    later->run();
    clock.advance(seconds(1));
  }
  EXPECT_EQ(refreshes, 20) << "every 30 s";
  EXPECT_EQ(cache->view().error, "the well is dry");
  clock.advance(seconds(1));
  clock.advance(seconds(30));
  later->hold(false);
  EXPECT_EQ(current(),
            "error: the last credentials expired at 2026-01-02T04:04:05Z and there are no new "
            "ones: the well is dry");
  gives("B", kNowMs + 180 * kMinuteMs);
  EXPECT_NE(current(), "B") << "not asked again at once";
  clock.advance(seconds(10));
  EXPECT_EQ(current(), "B");
  EXPECT_EQ(cache->view().error, "");
}

TEST_F(CachedCredentialsTest, WithoutAnySetTheErrorIsRememberedForTenSeconds) {
  fails(Errc::kNotFound, "set AWS_ACCESS_KEY_ID");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(current(), "error: set AWS_ACCESS_KEY_ID");
  EXPECT_EQ(well->asked, 1);
  EXPECT_FALSE(cache->view().have);
  clock.advance(seconds(10));
  gives("A", 0);
  EXPECT_EQ(current(), "A");
}

// The token exchange service hands out one set until five minutes before its end.
TEST_F(CachedCredentialsTest, TheSameSetAgainIsAskedForOnceAMinute) {
  gives("A", kNowMs + 20 * kMinuteMs);
  EXPECT_EQ(current(), "A");
  clock.advance(minutes(10));
  later->hold();
  int asked = 0;
  for (int second = 0; second < 300; ++second) {
    EXPECT_EQ(current(), "A");
    if (later->waiting() > 0) ++asked;
    later->run();
    clock.advance(seconds(1));
  }
  EXPECT_EQ(asked, 5);
}

TEST_F(CachedCredentialsTest, ShortLivedSetsAreRefreshedAtHalfTime) {
  gives("A", kNowMs + 30'000);
  EXPECT_EQ(current(), "A");
  later->hold();
  clock.advance(seconds(14));
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 0U);
  clock.advance(seconds(1));
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 1U);
}

TEST_F(CachedCredentialsTest, AnExpiredSetFromTheSourceIsUsedAndAskedForEveryMinute) {
  gives("A", kNowMs - 1);
  EXPECT_EQ(current(), "A");
  later->hold();
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 0U);
  clock.advance(minutes(1));
  gives("B", kNowMs + 60 * kMinuteMs);
  EXPECT_EQ(current(), "A");
  later->run();
  EXPECT_EQ(current(), "B");
}

TEST_F(CachedCredentialsTest, RejectedKeysForceARefreshOnceInTenSecondsForAllTogether) {
  gives("A", 0);
  EXPECT_EQ(current(), "A");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(refresh("A", 0), "A") << "there are no newer ones";
  EXPECT_EQ(well->asked, 2);
  clock.advance(seconds(10));
  gives("B", 0);
  EXPECT_EQ(refresh("A", 0), "B");
  EXPECT_EQ(refresh("A", 0), "B") << "a late complaint about the old ones asks nobody";
  EXPECT_EQ(well->asked, 3);
}

TEST_F(CachedCredentialsTest, KeysThatAreNotPermittedSomethingAreAskedForOnceAMinute) {
  gives("A", 0);
  EXPECT_EQ(current(), "A");
  for (int second = 0; second < 120; ++second) {
    EXPECT_EQ(cache->denied(keys("A", 0), {})->access_key_id, "A");
    clock.advance(seconds(1));
  }
  EXPECT_EQ(well->asked, 3);
  gives("B", 0);
  EXPECT_EQ(cache->denied(keys("A", 0), {})->access_key_id, "B");
}

TEST_F(CachedCredentialsTest, WhoeverSaysThatThereMayBeNewerKeysWaitsForNoPause) {
  fails(Errc::kInvalidArgument, "the file has no secret");
  EXPECT_EQ(current(), "error: the file has no secret");
  gives("A", 0);
  cache->look_again();
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(refresh("A", 0), "A");
  gives("B", 0);
  cache->look_again();
  EXPECT_EQ(refresh("A", 0), "B");
}

TEST_F(CachedCredentialsTest, AFailedForcedRefreshLeavesWhatThereIs) {
  gives("A", 0);
  EXPECT_EQ(current(), "A");
  fails(Errc::kUnavailable, "the well is dry");
  EXPECT_EQ(refresh("A", 0), "A");
  EXPECT_EQ(cache->view().error, "the well is dry");
}

TEST_F(CachedCredentialsTest, ExpiryIsJudgedByTheClockOfTheDestinations) {
  gives("A", kNowMs + 60 * kMinuteMs);
  EXPECT_EQ(current(), "A");
  later->hold();
  ClockSkew skew;  // they are 55 minutes ahead
  skew.learn(destination::testing::answer(200, "", {{"date", "Fri, 02 Jan 2026 03:59:05 GMT"}}),
             clock.now(), clock.wall_ms(), clock);
  ASSERT_EQ(skew.offset_ms(), 55 * kMinuteMs);
  cache->clock_is(skew);
  EXPECT_EQ(current(), "A");
  EXPECT_EQ(later->waiting(), 1U) << "five minutes are left";
}

TEST_F(CachedCredentialsTest, ViewAndMetricsTellTheSourceAndTheEndAndNothingElse) {
  gives("AKIDSECRET", kNowMs + 60 * kMinuteMs);
  EXPECT_EQ(current(), "AKIDSECRET");
  const CredentialsView view = cache->view();
  EXPECT_EQ(view.source, "a well");
  EXPECT_EQ(view.expires_ms, kNowMs + 60 * kMinuteMs);
  EXPECT_TRUE(view.have);
  EXPECT_EQ(metrics.gauge(kCredentialExpirySeconds, {""}).value(), kNowMs / 1000 + 3600);
  EXPECT_EQ(metrics.counter(kCredentialRefreshesTotal, {"", "ok"}).value(), 1U);
  EXPECT_EQ(metrics.text().find("SECRET"), std::string::npos);
}

TEST_F(CachedCredentialsTest, ManyWorkersWaitForOneCall) {
  constexpr int kWorkers = 8;
  std::latch all(kWorkers);
  std::atomic<bool> go{false};
  well->answer = [&](const auto&) -> Result<Fetched> {
    while (!go) std::this_thread::yield();
    Fetched fetched;
    fetched.credentials = keys("A", 0);
    return fetched;
  };
  std::atomic<int> served{0};
  std::vector<std::jthread> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&] {
      all.count_down();
      if (cache->current({}).has_value()) ++served;
    });
  }
  all.wait();
  go = true;
  workers.clear();
  EXPECT_EQ(served, kWorkers);
  EXPECT_EQ(well->asked, 1);
}

TEST_F(CachedCredentialsTest, AWorkerThatStopsDoesNotTakeTheOthersWithIt) {
  gives("A", 0);
  later->hold();
  std::stop_source leaving;
  std::jthread first([&] {
    const auto set = cache->current(leaving.get_token());
    EXPECT_EQ(set ? Errc::kUnavailable : set.error().code, Errc::kCancelled);
  });
  while (later->waiting() == 0) std::this_thread::yield();
  std::jthread second([&] { EXPECT_EQ(current(), "A"); });
  leaving.request_stop();
  first.join();
  later->run();
  second.join();
  EXPECT_EQ(well->asked, 1);
}

TEST_F(CachedCredentialsTest, ASourceThatHangsHoldsOneForSecondsAndTheOthersForOneAndOnceOnly) {
  const std::string not_yet =
      "error: the source of the credentials has not answered yet; weir goes on waiting for it";
  gives("A", kNowMs + 60 * kMinuteMs);
  later->hold();
  std::jthread first([&] { EXPECT_EQ(current(), not_yet); });
  while (later->waiting() == 0) std::this_thread::yield();
  std::jthread second([&] { EXPECT_EQ(current(), not_yet); });
  clock.advance(seconds(1));
  second.join();
  clock.advance(seconds(4));
  first.join();
  EXPECT_EQ(current(), not_yet) << "at once, whatever the clock says";
  std::jthread person([&] { EXPECT_EQ(cache->await({})->access_key_id, "A"); });
  later->run();
  person.join();
  EXPECT_EQ(current(), "A");
  clock.advance(minutes(60));
  gives("B", kNowMs + 180 * kMinuteMs);
  std::jthread starts([&] { EXPECT_EQ(current(), "B"); });
  while (later->waiting() == 0) std::this_thread::yield();
  EXPECT_EQ(current(), not_yet) << "it was slow, so nobody else waits for it";
  later->run();
  starts.join();
  EXPECT_EQ(well->asked, 2);
}

TEST_F(CachedCredentialsTest, KeysThatWereRejectedAreUsedOnWhileTheSourceHangs) {
  gives("A", 0);
  EXPECT_EQ(current(), "A");
  later->hold();
  std::jthread rejected([&] { EXPECT_EQ(refresh("A", 0), "A"); });
  while (later->waiting() == 0) std::this_thread::yield();
  EXPECT_EQ(current(), "A");
  clock.advance(seconds(5));
  rejected.join();
  gives("B", 0);
  later->run();
  EXPECT_EQ(current(), "B");
}

TEST(Background, APieceOfWorkThatHangsHoldsUpNoOther) {
  std::stop_source stop;
  auto background = make_background(stop.get_token());
  std::latch others(2);
  std::latch hung(1);
  background->post([&] {
    others.wait();
    hung.count_down();
  });
  background->post([&] { others.count_down(); });
  background->post([&] { others.count_down(); });
  hung.wait();
}

TEST(Background, WhoeverFinishesItWaitsForWhatIsUnderWay) {
  std::stop_source stop;
  auto background = make_background(stop.get_token());
  std::latch begun(1);
  bool ended = false;
  background->post([&] {
    begun.count_down();
    while (!stop.stop_requested()) std::this_thread::yield();
    ended = true;
  });
  begun.wait();
  stop.request_stop();
  background->finish();
  EXPECT_TRUE(ended);
  background->post([] { FAIL() << "it is over"; });
}

TEST(Background, TheLastReferenceMayBeDroppedByItsOwnWork) {
  std::stop_source stop;
  auto background = make_background(stop.get_token());
  auto* raw = background.get();
  std::latch dropped(1);
  raw->post([own = std::move(background), &dropped]() mutable {
    own.reset();
    dropped.count_down();
  });
  dropped.wait();
}

}  // namespace
}  // namespace weir::destination::credentials
