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
constexpr auto kDeniedPause = seconds(60);
constexpr auto kFailedPause = seconds(10);      // without a usable set
constexpr auto kRetryPause = seconds(30);       // while the last one is still good
constexpr auto kSamePause = seconds(60);        // the source gave the same set again
constexpr auto kPatience = seconds(5);          // of whoever has a source asked
constexpr auto kPatienceOfOthers = seconds(1);  // since then, of those who wait too
constexpr auto kLookAtStop = milliseconds(100);

Error interrupted() { return {Errc::kCancelled, "interrupted", 0}; }

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
    if (due() && !fetching_) start_fetch();
    return Result<Credentials>(set_);
  }
  if (!fetching_ && error_ && clock_.now() < next_try_) {
    return Result<Credentials>(fail(*error_));
  }
  return std::nullopt;
}

Result<Credentials> CachedCredentials::current(std::stop_token stop) { return get(false, stop); }

Result<Credentials> CachedCredentials::await(std::stop_token stop) { return get(true, stop); }

Result<Credentials> CachedCredentials::get(bool patient, const std::stop_token& stop) {
  bool started_it = false;
  const MutexLock lock(mutex_);
  for (;;) {
    if (stop.stop_requested() || stop_.stop_requested()) return fail(interrupted());
    if (auto answer = at_hand()) return std::move(*answer);
    if (!fetching_) {
      start_fetch();
      started_it = true;
    }
    if (!patient && overdue(started_it)) return fail(not_yet());
    wait_for_fetch();
  }
}

Result<Credentials> CachedCredentials::refresh(const Credentials& rejected, std::stop_token stop) {
  return force(rejected, kForcedPause, stop);
}

Result<Credentials> CachedCredentials::denied(const Credentials& keys, std::stop_token stop) {
  return force(keys, kDeniedPause, stop);
}

Result<Credentials> CachedCredentials::force(const Credentials& rejected, Duration pause,
                                             const std::stop_token& stop) {
  bool started_it = false;
  const MutexLock lock(mutex_);
  if (have_ && !(set_ == rejected)) return set_;
  if (!fetching_) {
    const Instant now = clock_.now();
    if (last_forced_ && now - *last_forced_ < pause) {
      if (have_) return set_;
      return fail(error_.value_or(Error{Errc::kUnavailable, "no credentials", 0}));
    }
    last_forced_ = now;
    start_fetch();
    started_it = true;
  }
  while (fetching_ && !overdue(started_it) && !stop.stop_requested() && !stop_.stop_requested()) {
    wait_for_fetch();
  }
  if (have_) return set_;
  if (fetching_) return fail(not_yet());
  return fail(error_.value_or(interrupted()));
}

bool CachedCredentials::overdue(bool started_it) {
  const Duration waited = clock_.now() - asked_at_;
  slow_ = slow_ || waited >= kPatience;
  // Whoever started it finds out whether the source has become quick again.
  if (started_it) return waited >= kPatience;
  return slow_ || waited >= kPatienceOfOthers;
}

Error CachedCredentials::not_yet() const {
  if (error_) {
    Error error = *error_;
    error.what += "; being asked again";
    return error;
  }
  return {Errc::kUnavailable,
          (role_.empty() ? std::string() : "role " + role_ + ": ") +
              "the source of the credentials has not answered yet; weir goes on waiting for it",
          0};
}

// Wakes up now and then by itself, because neither the caller's stop token nor the clock does it.
void CachedCredentials::wait_for_fetch() {
  fetched_.wait_until(mutex_, std::chrono::steady_clock::now() + kLookAtStop);
}

void CachedCredentials::look_again() {
  const MutexLock lock(mutex_);
  ask_again_ = true;
  last_forced_.reset();
  next_try_ = clock_.now();
}

void CachedCredentials::start_fetch() {
  fetching_ = true;
  asked_at_ = clock_.now();
  background_->post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->fetch();
  });
}

void CachedCredentials::fetch() {
  {
    const MutexLock lock(mutex_);
    ask_again_ = false;
  }
  auto fetched = source_->fetch(stop_);
  const MutexLock lock(mutex_);
  fetching_ = false;
  slow_ = clock_.now() - asked_at_ >= kPatience;
  if (fetched) {
    adopt(std::move(*fetched));
  } else if (!stop_.stop_requested()) {
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

std::optional<CachedCredentials::Kept> CachedCredentials::to_keep() const {
  const MutexLock lock(mutex_);
  if (!have_ || expired()) return std::nullopt;
  return Kept{set_, origin_, due_ms_};
}

void CachedCredentials::begin_with(Kept kept) {
  const MutexLock lock(mutex_);
  have_ = true;
  set_ = std::move(kept.set);
  origin_ = std::move(kept.origin);
  due_ms_ = kept.due_ms;
  ask_again_ = true;
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
