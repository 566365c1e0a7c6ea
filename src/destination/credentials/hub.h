#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/result.h"
#include "destination/credentials.h"
#include "destination/credentials/cache.h"
#include "destination/credentials/source.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace weir::destination::credentials {

/// How the sources reach the network; tests answer from a script.
using Connect = std::function<std::unique_ptr<HttpTransport>(const Link&)>;

/// The options with what the profile of the shared files adds where nothing else was set: region,
/// endpoints, FIPS, dual-stack, CA bundle. Errors: as `Profiles::load`; kInvalidArgument (there is
/// no profile of the name that the configuration gives, or its CA bundle cannot be read). Blocks:
/// on disk.
Result<AwsOptions> with_profile(AwsOptions aws);

/// Threads for questions to sources, as many as there are at a time. For `Hub`; here for its test.
class Background : public Executor {
 public:
  /// Waits for the work under way and does no more. Not for use by the work itself.
  virtual void finish() = 0;
};
std::shared_ptr<Background> make_background(std::stop_token stop);

/// All credentials of one weir: its own, and one set for every role that exports assume.
///
/// Lifetime: `clock` and `metrics` outlive it and everything it made. Threads: any.
class Hub {
 public:
  /// `aws` is complete, see `with_profile`; if it is not, `problem` says why.
  Hub(AwsOptions aws, Connect connect, Clock& clock, metrics::Registry& metrics,
      std::uint64_t random_seed, std::string problem = {});
  /// Interrupts the calls under way and waits for their end: no program runs on after weir.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  [[nodiscard]] const AwsOptions& aws() const { return context_->aws; }

  /// Fails while the shared files could not be read: they may name another region, other endpoints
  /// and other certificates, so that nothing may be sent without them. Errors: kInvalidArgument.
  [[nodiscard]] Result<void> usable() const;

  /// The credentials for exports with this role; those of weir itself if it has no ARN. They can
  /// be asked for as long as this lives.
  /// Errors: kInvalidArgument (not a role, or more than 64 different ones; see `usable`).
  Result<std::shared_ptr<CredentialsProvider>> for_role(const AssumedRole& role)
      WEIR_EXCLUDES(mutex_);

  /// Goes on with the sets of the hub that this one replaces, as far as they come from the same
  /// source: what is away during a reload must not stop what worked before it.
  void keep_from(const Hub& before) WEIR_EXCLUDES(mutex_);

  /// False where the instance is not to be asked.
  [[nodiscard]] bool may_find_region() const;

  /// The region of the configuration, else that of the instance. Blocks. Errors: kInvalidArgument.
  Result<std::string> region(const std::stop_token& stop) WEIR_EXCLUDES(mutex_);

  /// See `CredentialsProvider::look_again`; of all of them.
  void look_again() WEIR_EXCLUDES(mutex_);

  /// All that were asked for so far, weir's own first.
  [[nodiscard]] std::vector<CredentialsView> views() const WEIR_EXCLUDES(mutex_);

 private:
  std::shared_ptr<CachedCredentials> cached(std::string role, std::unique_ptr<Source> source);
  /// Of each role, also of those that nobody has asked for yet.
  [[nodiscard]] std::map<AssumedRole, CachedCredentials::Kept> roles_to_keep() const
      WEIR_EXCLUDES(mutex_);

  const SharedContext context_;
  const std::string problem_;
  Clock& clock_;
  metrics::Registry& metrics_;
  std::stop_source stop_;
  const std::shared_ptr<Background> background_;
  const std::shared_ptr<CachedCredentials> own_;

  mutable Mutex mutex_;
  std::map<AssumedRole, std::shared_ptr<CachedCredentials>> roles_ WEIR_GUARDED_BY(mutex_);
  std::map<AssumedRole, CachedCredentials::Kept> kept_ WEIR_GUARDED_BY(mutex_);
  std::string instance_region_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::destination::credentials
