#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "destination/aws_client.h"
#include "destination/options.h"
#include "destination/url.h"
#include "exporter/destination.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

/// Harmless calls that tell whether an export could deliver, for `weir doctor`: nothing is stored,
/// changed or removed by them.
namespace weir::destination {

/// What a look at one destination found, in words for an operator.
struct ProbeReport {
  enum class Level : std::uint8_t {
    kFine,
    kWarning,   ///< it may work; something should be looked at
    kProblem,   ///< it cannot work until somebody does what `fix` says
    kNotAsked,  ///< `seen` says why
  };
  Level level = Level::kFine;
  std::string seen;
  std::string fix;         ///< "" if there is nothing to do
  std::string permission;  ///< the one that is missing, "kinesis:PutRecords"; "" = none is
  /// The destination's clock minus ours, if its answer had a date.
  std::optional<std::int64_t> clock_ahead_ms;
};

/// One export as it is in force: redirects and additions of the configuration are applied to it.
struct ProbeTarget {
  exporter::ExportSpec spec;
  ExportOptions options;
  /// S3: where a stored task wants to go; targets of such exports are known from tasks only.
  std::string bucket;
  std::string key;
};

/// A call that was made, and the permission it takes.
struct ProbeCall {
  std::string permission;
  AwsReply reply;
};

/// What two calls say together: `look` reads what the destination is and takes a permission that
/// only this look needs; `write` is the call that exports make, without a record, so that it is
/// refused for want of a permission or for being empty. Pure.
ProbeReport judge_calls(const std::string& what, const ProbeCall& look, const ProbeCall& write);

/// The action that a refusal names ("not authorized to perform: kinesis:PutRecords on ..."), else
/// `otherwise`. Pure.
std::string missing_permission(std::string_view message, const std::string& otherwise);

/// Makes the calls. Lifetime: `clock` and `metrics` outlive it. Threads: any.
class Prober {
 public:
  Prober(std::shared_ptr<credentials::Hub> hub, TransportOptions transport, Clock& clock,
         metrics::Registry& metrics);

  /// The server that the export talks to; none for a directory. Errors: kInvalidArgument (no
  /// region, not an address), kNotFound (the service has ended). No network.
  [[nodiscard]] Result<std::optional<Url>> server(const ProbeTarget& target) const;

  /// Blocks: on the network, at most about 5 s a call and three calls; honours `stop`.
  [[nodiscard]] ProbeReport probe(const ProbeTarget& target, const std::stop_token& stop) const;

 private:
  struct Connection {
    std::unique_ptr<AwsClient> client;
    Url endpoint;
    std::string region;
  };
  [[nodiscard]] Result<Connection> connect(const AwsService& service, const AwsAccess& access,
                                           const std::stop_token& stop) const;
  [[nodiscard]] ProbeReport probe_kinesis(const ProbeTarget& target,
                                          const std::stop_token& stop) const;
  [[nodiscard]] ProbeReport probe_firehose(const ProbeTarget& target,
                                           const std::stop_token& stop) const;
  [[nodiscard]] ProbeReport probe_sitewise(const ProbeTarget& target,
                                           const std::stop_token& stop) const;
  [[nodiscard]] ProbeReport probe_s3(const ProbeTarget& target, const std::stop_token& stop) const;
  [[nodiscard]] ProbeReport probe_http(const ProbeTarget& target,
                                       const std::stop_token& stop) const;

  const std::shared_ptr<credentials::Hub> hub_;
  const TransportOptions transport_;
  Clock& clock_;
  metrics::Registry& metrics_;
};

}  // namespace weir::destination
