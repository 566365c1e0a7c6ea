#pragma once

#include "base/metrics.h"
#include "base/result.h"
#include "destination/aws_client.h"
#include "destination/options.h"
#include "exporter/destination.h"

#include <memory>
#include <string>

namespace weir::destination::firehose {

inline constexpr std::int64_t kRecordBytesMax = 1'024'000;  // 1,000 KiB before base64
inline constexpr std::int64_t kCallBytesMax = 4 << 20;

/// Delivers to one Firehose stream.
///
/// - ordering batch: PutRecordBatch; records that the service failed are reported, others stand.
/// - ordering strict: PutRecord, one at a time.
///
/// Firehose puts nothing between records, so a delimiter is added to messages that do not end with
/// it. With packing, consecutive messages share a record: what becomes of the record becomes of
/// each of them, and a refused one is divided until the message that nobody takes is alone.
class FirehoseDestination final : public exporter::Destination {
 public:
  struct Setup {
    std::string target;  ///< the delivery stream's name
    FirehoseOptions options;
    std::unique_ptr<AwsClient> client;
  };

  /// Lifetime: `metrics` outlives the destination.
  FirehoseDestination(Setup setup, metrics::Registry& metrics);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return setup_.client->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }

 private:
  class Delivery;

  Setup setup_;
  metrics::Registry& metrics_;
};

/// Errors: kInvalidArgument (a name that no delivery stream has, packing without a delimiter).
Result<void> validate(const std::string& target, const FirehoseOptions& options);

}  // namespace weir::destination::firehose
