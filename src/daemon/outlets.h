#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "base/result.h"
#include "daemon/config.h"
#include "destination/credentials/hub.h"
#include "destination/options.h"
#include "exporter/bandwidth.h"
#include "exporter/destination.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace weir::daemon {

/// What destinations are made from, and what they share: credentials, timeouts, bandwidth. Can be
/// replaced while they are at work: those that exist go on with what they were made with.
///
/// Threads: any.
class Outlets {
 public:
  /// One set: made from one configuration.
  struct Set {
    std::uint64_t number = 0;  ///< another one for each; see `Config::outlets`
    std::shared_ptr<destination::credentials::Hub> credentials;
    exporter::DestinationFactory factory;
    destination::AwsOptions aws;  ///< as configured
    destination::TransportOptions transport;
  };

  /// Lifetime: `clock` and `metrics` outlive it and every destination; `lookup` gives the options
  /// in force. `own_ports` are those that weir listens on.
  Outlets(Clock& clock, metrics::Registry& metrics, std::uint64_t random_seed,
          destination::OptionsLookup lookup, std::vector<std::uint16_t> own_ports);

  /// What `config` asks for; keeps of the present set what would be the same, as far as `before`
  /// says so (null: nothing is there) and the profile of the AWS tools says what it said. Errors:
  /// as `destination::make_factory`, and as `destination::credentials::with_profile` where the
  /// shared files could be used before (where they could not, their exports wait instead). Blocks:
  /// on disk.
  Result<std::shared_ptr<const Set>> make(const Config& config, const Config* before);
  /// From now on destinations are made from this set, and all share this limit. Credentials that
  /// stay are asked for again, because what they come from may have changed.
  /// Returns the set before, whose end may block.
  std::shared_ptr<const Set> use(const std::shared_ptr<const Set>& set,
                                 std::int64_t bandwidth_bits_per_second);

  /// A set in place of the one in use, if that waits for shared files of the AWS tools which are
  /// good by now; else null. Blocks: on disk, where such a set is in use.
  std::shared_ptr<const Set> mend();

  /// Makes destinations from the set in use. Lifetime: this outlives it.
  [[nodiscard]] exporter::DestinationFactory factory();
  [[nodiscard]] std::vector<destination::CredentialsView> credentials() const;
  /// The credentials may have been replaced: whoever needs them next has them asked for.
  void look_again();

 private:
  [[nodiscard]] std::shared_ptr<const Set> present() const;
  [[nodiscard]] Result<std::shared_ptr<const Set>> make_set(
      const destination::AwsOptions& aws, const destination::TransportOptions& transport,
      std::shared_ptr<destination::credentials::Hub> credentials);

  Clock& clock_;
  metrics::Registry& metrics_;
  const std::uint64_t seed_;
  const destination::OptionsLookup lookup_;
  const std::vector<std::uint16_t> own_ports_;
  const std::shared_ptr<exporter::BandwidthLimiter> bandwidth_;
  std::atomic<std::uint64_t> next_number_{0};
  mutable Mutex mutex_;
  std::shared_ptr<const Set> set_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::daemon
