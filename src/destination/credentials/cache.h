#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "destination/clock_skew.h"
#include "destination/credentials.h"
#include "destination/credentials/source.h"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace weir::destination::credentials {

/// The newest set of one source, for all workers (destinations.md §21.6).
///
/// One call to the source at a time, whoever needs it, and always in the background. Before a set
/// expires the next one is fetched; while that fails the last good one is used until it really
/// expires, and the source is asked again every 30 s. Without a usable set callers wait for the one
/// call that is under way: whoever started it 5 s at most, all others 1 s, and not at all where the
/// last call took more than 5 s. After a failure they get its error for 10 s instead of calling
/// again.
///
/// Lifetime: `clock` and `metrics` outlive it; made by `make` only, because background work holds
/// on to it. Threads: any.
class CachedCredentials final : public CredentialsProvider,
                                public std::enable_shared_from_this<CachedCredentials> {
 public:
  /// `role` is what `view` and metrics call it, "" for weir's own credentials. `stop` ends the
  /// calls in the background.
  static std::shared_ptr<CachedCredentials> make(std::string role, std::unique_ptr<Source> source,
                                                 Clock& clock, metrics::Registry& metrics,
                                                 std::shared_ptr<Executor> background,
                                                 std::stop_token stop);

  Result<Credentials> current(std::stop_token stop) override;
  Result<Credentials> await(std::stop_token stop) override;
  Result<Credentials> refresh(const Credentials& rejected, std::stop_token stop) override;
  Result<Credentials> denied(const Credentials& keys, std::stop_token stop) override;
  void clock_is(const ClockSkew& skew) override;
  void look_again() override;
  [[nodiscard]] CredentialsView view() const override;

  /// A set that is still good, for whoever asks the same source after this.
  struct Kept {
    Credentials set;
    std::string origin;
    std::int64_t due_ms = 0;
  };
  [[nodiscard]] std::optional<Kept> to_keep() const;
  /// Begins with what was kept; the source is asked all the same, at the next use.
  void begin_with(Kept kept);

 private:
  CachedCredentials(std::string role, std::unique_ptr<Source> source, Clock& clock,
                    metrics::Registry& metrics, std::shared_ptr<Executor> background,
                    std::stop_token stop);
  [[nodiscard]] bool expired() const WEIR_REQUIRES(mutex_);
  [[nodiscard]] bool due() const WEIR_REQUIRES(mutex_);
  Result<Credentials> get(bool patient, const std::stop_token& stop) WEIR_EXCLUDES(mutex_);
  /// What a caller gets without a call to the source; none if it has to be called.
  std::optional<Result<Credentials>> at_hand() WEIR_REQUIRES(mutex_);
  Result<Credentials> force(const Credentials& rejected, Duration pause,
                            const std::stop_token& stop) WEIR_EXCLUDES(mutex_);
  void start_fetch() WEIR_REQUIRES(mutex_);
  void fetch() WEIR_EXCLUDES(mutex_);
  /// True if a caller has waited long enough for the fetch under way, which it started or not.
  bool overdue(bool started_it) WEIR_REQUIRES(mutex_);
  [[nodiscard]] Error not_yet() const WEIR_REQUIRES(mutex_);
  void adopt(Fetched fetched) WEIR_REQUIRES(mutex_);
  void note_failure(Error error) WEIR_REQUIRES(mutex_);
  void wait_for_fetch() WEIR_REQUIRES(mutex_);

  const std::string role_;
  const std::unique_ptr<Source> source_;
  Clock& clock_;
  metrics::Registry& metrics_;
  const std::shared_ptr<Executor> background_;
  const std::stop_token stop_;

  mutable Mutex mutex_;
  CondVar fetched_;
  bool fetching_ WEIR_GUARDED_BY(mutex_) = false;
  bool slow_ WEIR_GUARDED_BY(mutex_) = false;  // the last fetch took longer than anybody waits
  Instant asked_at_ WEIR_GUARDED_BY(mutex_){};
  bool have_ WEIR_GUARDED_BY(mutex_) = false;
  bool extended_ WEIR_GUARDED_BY(mutex_) =
      false;  // the source has nothing newer than this expired one
  Credentials set_ WEIR_GUARDED_BY(mutex_);
  std::string origin_ WEIR_GUARDED_BY(mutex_);
  bool ask_again_ WEIR_GUARDED_BY(mutex_) = false;   // somebody said that there may be newer ones
  std::int64_t due_ms_ WEIR_GUARDED_BY(mutex_) = 0;  // destination's wall clock
  Instant next_try_ WEIR_GUARDED_BY(mutex_){};
  std::optional<Instant> last_forced_ WEIR_GUARDED_BY(mutex_);
  std::optional<Error> error_ WEIR_GUARDED_BY(mutex_);
  ClockSkew skew_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::destination::credentials
