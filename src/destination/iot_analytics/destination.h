#pragma once

#include "base/metrics.h"
#include "base/result.h"
#include "destination/aws_client.h"
#include "exporter/destination.h"

#include <memory>
#include <string>

namespace weir::destination::iot_analytics {

/// Delivers to one channel of AWS IoT Analytics, or of whatever speaks its protocol: the service
/// itself ended on 15 December 2025 (docs/destinations.md).
///
/// A message's id is the same whenever it is sent again, so that a receiver can tell.
class IotAnalyticsDestination final : public exporter::Destination {
 public:
  struct Setup {
    std::string channel;
    std::string id_prefix;  ///< the client's, "" if none
    std::string stream_name;
    std::unique_ptr<AwsClient> client;
  };

  /// Lifetime: `metrics` outlives the destination.
  IotAnalyticsDestination(Setup setup, metrics::Registry& metrics);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return setup_.client->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }

 private:
  class Delivery;

  Setup setup_;
  const std::string id_start_;
  metrics::Registry& metrics_;
};

/// Errors: kInvalidArgument (a name that no channel has, a prefix that no id has).
Result<void> validate(const std::string& channel, const std::string& id_prefix);

/// Why there is nothing to connect to unless somebody names an endpoint.
Error service_retired();

}  // namespace weir::destination::iot_analytics
