#pragma once

#include "base/result.h"

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

namespace weir::destination {

struct AwsOptions;
class ClockSkew;

/// Keys to sign with. Never logged, never written to disk; wiped when destroyed.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;    ///< "" for long-lived keys
  std::int64_t expires_ms = 0;  ///< wall clock; 0 = never

  Credentials() = default;
  Credentials(const Credentials&) = default;
  Credentials(Credentials&&) noexcept = default;
  Credentials& operator=(const Credentials&);
  Credentials& operator=(Credentials&&) noexcept;
  ~Credentials();
  friend bool operator==(const Credentials&, const Credentials&) = default;

 private:
  void wipe();
};

/// What people may know of credentials: everything but the credentials.
struct CredentialsView {
  std::string role;             ///< ARN of the assumed role; "" for weir's own credentials
  std::string source;           ///< "environment", "container endpoint ..."; "" = none found yet
  std::int64_t expires_ms = 0;  ///< wall clock; 0 = never
  std::string error;            ///< why the last refresh failed; "" = it did not
  bool have = false;            ///< there is a set
};

/// Where credentials come from. One for all destinations that use the same. Threads: any.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;

  /// The newest set there is.
  ///
  /// Errors: kNotFound (nothing is configured; the text says what to set), kUnavailable (the
  /// source did not answer; may work later), kInvalidArgument and kIo (a person must fix what the
  /// text names), kCancelled. Blocks: only while there is no usable set, and for seconds at most: a
  /// source that takes longer is kUnavailable until it has answered.
  virtual Result<Credentials> current(std::stop_token stop) = 0;

  /// As `current`, but waits for as long as the source takes.
  virtual Result<Credentials> await(std::stop_token stop) { return current(std::move(stop)); }

  /// AWS did not accept `rejected`: asks the source for newer ones, at most once in 10 s for all
  /// callers together, and returns what is current then. Equal to `rejected` when there are none.
  virtual Result<Credentials> refresh(const Credentials& rejected, std::stop_token stop) = 0;

  /// AWS knows `keys` but does not permit them something: as `refresh`, at most once a minute,
  /// because mostly it is a policy that has to change and not the keys.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): by value as above
  virtual Result<Credentials> denied(const Credentials& keys, std::stop_token) { return keys; }

  /// A destination's clock was found to differ from ours: expiry is judged by theirs from now on.
  virtual void clock_is(const ClockSkew&) {}

  /// What the source has may have been replaced: the next who needs credentials has it asked,
  /// however short ago it was.
  virtual void look_again() {}

  [[nodiscard]] virtual CredentialsView view() const { return {}; }
};

/// Keys given in configuration or environment; they never change.
std::shared_ptr<CredentialsProvider> static_credentials(const AwsOptions& aws);

}  // namespace weir::destination
