#pragma once

#include "base/metrics.h"
#include "destination/aws_client.h"
#include "exporter/destination.h"

#include <memory>

namespace weir::destination::sitewise {

/// Delivers to IoT SiteWise: each message is one entry of BatchPutAssetPropertyValue.
///
/// A call has at most 10 entries with different ids and no property and time twice; what would
/// repeat one goes into the next call. Entries that the service fails are reported one by one, its
/// other entries stand. A message that is no entry is rejected without being sent, and so is one
/// whose values are all outside of the time that the service accepts (7 days back, 10 minutes
/// ahead) by the service's own clock. Where none of its answers told the time in the last minute,
/// the service is left to judge, and so tells it again.
class SitewiseDestination final : public exporter::Destination {
 public:
  /// Lifetime: `metrics` outlives the destination.
  SitewiseDestination(std::unique_ptr<AwsClient> client, metrics::Registry& metrics);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return client_->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }

 private:
  class Delivery;

  const std::unique_ptr<AwsClient> client_;
  metrics::Registry& metrics_;
  // Two names of one property cannot be told apart from here. After the service found entries of
  // a call in conflict, they go one by one until a delivery meets none.
  bool one_by_one_ = false;
};

}  // namespace weir::destination::sitewise
