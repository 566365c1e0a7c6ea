#include "destination/credentials/cache.h"

#include "base/log.h"
#include "destination/credentials/answer.h"
#include "destination/metrics.h"

#include <algorithm>
#include <utility>

namespace weir::destination::credentials {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kForcedPause = seconds(10);  // destinations.md §21.6
constexpr auto kFailedPause = seconds(10);  // without a usable set
constexpr auto kRetryPause = seconds(30);   // while the last one is still good
constexpr auto kSamePause = seconds(60);    // the source gave the same set again
constexpr auto kLookAtStop = milliseconds(100);

}  // namespace

CachedCredentials::CachedCredentials(std::string role, std::unique_ptr<Source> source, Clock& clock,
                                     metrics::Registry& metrics,
                                     std::shared_ptr<Executor> background, std::stop_token stop)
    : role_(std::move(role)),
      source_(std::move(source)),
      clock_(clock),
      metrics_(metrics),
      background_(std::move(background)),
      stop_(std::move(stop)) {}

std::shared_ptr<CachedCredentials> CachedCredentials::make(std::string role,
                                                           std::unique_ptr<Source> source,
                                                           Clock& clock, metrics::Registry& metrics,
                                                           std::shared_ptr<Executor> background,
                                                           std::stop_token stop) {
  return std::shared_ptr<CachedCredentials>(new CachedCredentials(
      std::move(role), std::move(source), clock, metrics, std::move(background), std::move(stop)));
}

bool CachedCredentials::expired() const {
  return set_.expires_ms != 0 && skew_.wall_ms(clock_) >= set_.expires_ms;
}

bool CachedCredentials::due() const {
  if (ask_again_) return true;
  return set_.expires_ms != 0 && skew_.wall_ms(clock_) >= due_ms_ && clock_.now() >= next_try_;
}

std::optional<Result<Credentials>> CachedCredentials::at_hand() {
  if (have_ && (!expired() || extended_)) {
    if (due() && !fetching_) start_background();
    return Result<Credentials>(set_);
  }
  if (!fetching_ && error_ && clock_.now() < next_try_) {
    return Result<Credentials>(fail(*error_));
  }
  return std::nullopt;
}

Result<Credentials> CachedCredentials::current(std::stop_token stop) {
  for (;;) {
    if (stop.stop_requested()) return fail(Errc::kCancelled, "interrupted");
    {
      const MutexLock lock(mutex_);
      if (auto answer = at_hand()) return std::move(*answer);
      if (fetching_) {
        wait_for_fetch();
        continue;
      }
      fetching_ = true;
    }
    fetch(stop);
  }
}

Result<Credentials> CachedCredentials::refresh(const Credentials& rejected, std::stop_token stop) {
  bool mine = false;
  {
    const MutexLock lock(mutex_);
    if (have_ && !(set_ == rejected)) return set_;
    const Instant now = clock_.now();
    if (!fetching_) {
      if (last_forced_ && now - *last_forced_ < kForcedPause) {
        if (have_) return set_;
        return fail(error_.value_or(Error{Errc::kUnavailable, "no credentials", 0}));
      }
      last_forced_ = now;
      fetching_ = true;
      mine = true;
    }
  }
  if (mine) fetch(stop);
  for (;;) {
    const MutexLock lock(mutex_);
    if (fetching_ && !mine && !stop.stop_requested()) {
      wait_for_fetch();
      continue;
    }
    if (have_) return set_;
    return fail(error_.value_or(Error{Errc::kCancelled, "interrupted", 0}));
  }
}

// Wakes up now and then by itself, because the waiting caller's own stop token does not wake it.
void CachedCredentials::wait_for_fetch() {
  fetched_.wait_until(mutex_, std::chrono::steady_clock::now() + kLookAtStop);
}

void CachedCredentials::look_again() {
  const MutexLock lock(mutex_);
  ask_again_ = true;
  next_try_ = clock_.now();
}

void CachedCredentials::start_background() {
  fetching_ = true;
  background_->post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->fetch(self->stop_);
  });
}

void CachedCredentials::fetch(const std::stop_token& stop) {
  {
    const MutexLock lock(mutex_);
    ask_again_ = false;
  }
  auto fetched = source_->fetch(stop);
  const MutexLock lock(mutex_);
  fetching_ = false;
  if (fetched) {
    adopt(std::move(*fetched));
  } else if (!stop.stop_requested()) {
    note_failure(std::move(fetched).error());
  }
  fetched_.notify_all();
}

void CachedCredentials::adopt(Fetched fetched) {
  const bool same = have_ && set_ == fetched.credentials;
  const std::int64_t now_ms = skew_.wall_ms(clock_);
  const std::int64_t expires_ms = fetched.credentials.expires_ms;
  const std::int64_t left_ms = std::max<std::int64_t>(0, expires_ms - now_ms);
  const std::int64_t lead_ms =
      std::min(duration_cast<milliseconds>(fetched.lead).count(), left_ms / 2);
  if (!have_ || fetched.source != origin_) {
    log::info("Credentials for AWS found.",
              {{"role", role_.empty() ? "own" : role_},
               {"source", fetched.source},
               {"expires", expires_ms == 0 ? "never" : iso_time(expires_ms)}});
  }
  have_ = true;
  set_ = std::move(fetched.credentials);
  origin_ = std::move(fetched.source);
  error_.reset();
  extended_ = expires_ms != 0 && now_ms >= expires_ms;
  if (!same) due_ms_ = expires_ms - lead_ms;
  next_try_ = clock_.now() + (same || extended_ ? kSamePause : Duration(0));
  if (extended_) {
    log::warn(
        "The source of credentials gives a set that has expired; it is used, and asked for "
        "a newer one every minute. Is the clock set?",
        {{"role", role_.empty() ? "own" : role_},
         {"source", origin_},
         {"expired", iso_time(expires_ms)}});
  }
  metrics_.counter(kCredentialRefreshesTotal, {role_, "ok"}).add();
  metrics_.gauge(kCredentialExpirySeconds, {role_}).set(expires_ms / 1000);
}

void CachedCredentials::note_failure(Error error) {
  const bool usable = have_ && (!expired() || extended_);
  next_try_ = clock_.now() + (usable ? kRetryPause : kFailedPause);
  metrics_.counter(kCredentialRefreshesTotal, {role_, "failed"}).add();
  const std::string still_good =
      set_.expires_ms == 0 ? std::string("while they are accepted") : iso_time(set_.expires_ms);
  if (usable) {
    log::warn(
        "Cannot refresh credentials for AWS; the last ones are used until they expire.",
        {{"role", role_.empty() ? "own" : role_}, {"expires", still_good}, {"error", error.what}});
  } else if (have_) {
    error.what = "the last credentials expired at " + iso_time(set_.expires_ms) +
                 " and there are no new ones: " + error.what;
    log::error("Credentials for AWS have expired and cannot be refreshed.",
               {{"role", role_.empty() ? "own" : role_}, {"error", error.what}});
  }
  error_ = std::move(error);
}

void CachedCredentials::clock_is(const ClockSkew& skew) {
  const MutexLock lock(mutex_);
  skew_ = skew;
}

CredentialsView CachedCredentials::view() const {
  const MutexLock lock(mutex_);
  CredentialsView view;
  view.role = role_;
  view.source = origin_;
  view.expires_ms = set_.expires_ms;
  view.error = error_ ? error_->what : std::string();
  view.have = have_;
  return view;
}

}  // namespace weir::destination::credentials
