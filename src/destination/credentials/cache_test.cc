// One set for all workers: early refresh, last good ones, at most one call at a time.

#include "destination/credentials/cache.h"

#include "destination/credentials/fakes.h"
#include "destination/credentials/hub.h"
#include "destination/metrics.h"

#include <atomic>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <latch>
#include <thread>

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

// Runs background work when the test says so.
class Later final : public Executor {
 public:
  void post(std::function<void()> work) override { work_.push_back(std::move(work)); }
  void run() {
    while (!work_.empty()) {
      auto work = std::move(work_.front());
      work_.pop_front();
      work();
    }
  }
  [[nodiscard]] std::size_t waiting() const { return work_.size(); }

 private:
  std::deque<std::function<void()>> work_;
};

class CachedCredentialsTest : public ::testing::Test {
 protected:
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

  ManualClock clock{kNowMs};
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
  std::stop_source leaving;
  std::atomic<int> calls{0};
  well->answer = [&](const std::stop_token& stop) -> Result<Fetched> {
    if (calls++ == 0) {
      while (!stop.stop_requested()) std::this_thread::yield();
      return fail(Errc::kCancelled, "interrupted");
    }
    Fetched fetched;
    fetched.credentials = keys("A", 0);
    return fetched;
  };
  std::jthread first([&] {
    const auto set = cache->current(leaving.get_token());
    EXPECT_EQ(set ? Errc::kUnavailable : set.error().code, Errc::kCancelled);
  });
  while (calls == 0) std::this_thread::yield();
  std::jthread second([&] { EXPECT_EQ(current(), "A"); });
  leaving.request_stop();
}

TEST(Background, RunsWorkInOrderAndEndsWithWorkLeft) {
  std::stop_source stop;
  auto background = make_background(stop.get_token());
  std::latch done(1);
  std::string order;
  background->post([&] { order += "a"; });
  background->post([&] {
    order += "b";
    done.count_down();
  });
  done.wait();
  EXPECT_EQ(order, "ab");
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
