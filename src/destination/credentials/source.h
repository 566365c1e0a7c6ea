#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "destination/credentials.h"
#include "destination/http_transport.h"
#include "destination/options.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

/// One file for each place that credentials come from; the cache in front of them is `cache.h`.
namespace weir::destination::credentials {

/// A set and what is known about it.
struct Fetched {
  Credentials credentials;
  std::string source;  ///< for people: names files, addresses and profiles, never a secret
  Duration lead = std::chrono::minutes(10);  ///< how long before expiry to ask for the next one
};

/// A place that credentials come from. Asked by the cache only: one call at a time.
///
/// Errors: kNotFound (not configured here: the next source may be asked), kUnavailable (no answer;
/// may work later), kInvalidArgument and kIo (a person must fix what the text names), kCancelled.
/// Texts never repeat what was read. Blocks: on disk and network; honours the stop token.
class Source {
 public:
  virtual ~Source() = default;
  virtual Result<Fetched> fetch(const std::stop_token& stop) = 0;
};

/// What a source asks of its connection.
struct Link {
  std::int64_t connect_timeout_ms = 0;  ///< 0 = as for destinations
  std::int64_t total_timeout_ms = 0;    ///< 0 = as for destinations
  bool proxy = true;                    ///< false: never through a proxy, which would see a token
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

/// What sources share. Lifetime: `clock` outlives it. Threads: any; immutable.
struct Context {
  AwsOptions aws;
  std::function<std::unique_ptr<HttpTransport>(const Link&)> connect;
  /// Waits between two tries; returns early when asked to stop.
  std::function<void(Duration, const std::stop_token&)> pause;
  Clock* clock = nullptr;
  std::uint64_t random_seed = 0;

  /// The value of an environment variable, "" if unset.
  [[nodiscard]] std::string variable(const std::string& name) const;
  /// True when the variable says true, in any case.
  [[nodiscard]] bool is_true(const std::string& name) const;
};
using SharedContext = std::shared_ptr<const Context>;

/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION.
std::unique_ptr<Source> environment_source(SharedContext context);

/// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: the token service, unsigned.
std::unique_ptr<Source> web_identity_source(SharedContext context);

/// The shared files of the AWS tools: keys, roles, web identity and `credential_process`.
std::unique_ptr<Source> profile_source(SharedContext context);

/// A role alias of AWS IoT, with the certificate of the device.
std::unique_ptr<Source> iot_source(SharedContext context);

/// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI: containers and the token exchange service
/// of Greengrass.
std::unique_ptr<Source> container_source(SharedContext context);

/// The metadata service of an EC2 instance, version 2.
std::unique_ptr<Source> instance_source(SharedContext context);

/// All of the above in that order, or the one that the configuration names. The first that has
/// credentials wins; one that is configured and fails ends the search.
std::unique_ptr<Source> chain(const SharedContext& context);

/// `role`, assumed with the credentials of `base`.
std::unique_ptr<Source> role_source(SharedContext context, AssumedRole role,
                                    std::shared_ptr<CredentialsProvider> base);

/// The region of the instance that this runs on, from its metadata service.
Result<std::string> instance_region(const Context& context, const std::stop_token& stop);

}  // namespace weir::destination::credentials
