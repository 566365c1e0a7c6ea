#pragma once

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/result.h"
#include "destination/credentials.h"
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
/// endpoints, FIPS, dual-stack, CA bundle. Errors: as `Profiles::load`. Blocks: on disk.
Result<AwsOptions> with_profile(AwsOptions aws);

/// All credentials of one weir: its own, and one set for every role that exports assume.
///
/// Lifetime: `clock` and `metrics` outlive it and everything it made. Threads: any.
class Hub {
 public:
  /// `aws` is complete, see `with_profile`.
  Hub(AwsOptions aws, Connect connect, Clock& clock, metrics::Registry& metrics,
      std::uint64_t random_seed);
  /// Interrupts the calls under way.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  [[nodiscard]] const AwsOptions& aws() const { return context_->aws; }

  /// The credentials for exports with this role; those of weir itself if it has no ARN.
  /// Errors: kInvalidArgument (not a role, or more than 64 different ones).
  Result<std::shared_ptr<CredentialsProvider>> for_role(const AssumedRole& role)
      WEIR_EXCLUDES(mutex_);

  /// False where the instance is not to be asked.
  [[nodiscard]] bool may_find_region() const;

  /// The region of the configuration, else that of the instance. Blocks. Errors: kInvalidArgument.
  Result<std::string> region(const std::stop_token& stop) WEIR_EXCLUDES(mutex_);

  /// See `CredentialsProvider::look_again`; of all of them.
  void look_again() WEIR_EXCLUDES(mutex_);

  /// All that were asked for so far, weir's own first.
  [[nodiscard]] std::vector<CredentialsView> views() const WEIR_EXCLUDES(mutex_);

 private:
  std::shared_ptr<CredentialsProvider> cached(std::string role, std::unique_ptr<Source> source);

  const SharedContext context_;
  Clock& clock_;
  metrics::Registry& metrics_;
  std::stop_source stop_;
  const std::shared_ptr<Executor> background_;
  const std::shared_ptr<CredentialsProvider> own_;

  mutable Mutex mutex_;
  std::map<AssumedRole, std::shared_ptr<CredentialsProvider>> roles_ WEIR_GUARDED_BY(mutex_);
  std::string instance_region_ WEIR_GUARDED_BY(mutex_);
};

/// A thread that starts with the first piece of work. For `Hub`; here for its test.
std::shared_ptr<Executor> make_background(std::stop_token stop);

}  // namespace weir::destination::credentials
