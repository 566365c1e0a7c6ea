#pragma once

#include "base/metrics.h"
#include "connector/appends.h"
#include "connector/options.h"
#include "connector/progress.h"
#include "destination/aws_client.h"
#include "exporter/destination.h"

#include <memory>
#include <string>

namespace weir::connector {

/// Sends the queue of one delivery stream to Firehose and writes down an answer for every record
/// that was taken or refused for good.
///
/// - What a whole call runs into and may pass (no connection, throttling, keys, a policy) keeps the
///   batch where it is: the engine tries again with its backoff, nothing is answered.
/// - A record that alone was failed in a way that may pass goes to the end of the queue, as a copy
///   that is on stable storage before the original counts as done. When more records of a batch
///   failed so than not, they stay where they are, so that the queue is not copied round and round.
/// - A delivery stream that does not exist, or does not take records from here, refuses for good.
///
/// An answer that cannot be written down is lost and counted: the records were taken.
class Sender final : public exporter::Destination {
 public:
  struct Setup {
    DeliveryStreamArn target;
    std::unique_ptr<destination::AwsClient> client;
  };
  /// What it shares with others. Lifetime: all of it outlives the destination.
  struct Surroundings {
    const Options& options;
    Appends& appends;
    Progress& progress;
    metrics::Registry& metrics;
  };

  Sender(Setup setup, const Surroundings& around);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return setup_.client->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }

 private:
  class Delivery;

  Setup setup_;
  const Options& options_;
  Appends& appends_;
  Progress& progress_;
  metrics::Registry& metrics_;
  const std::string arn_;
};

}  // namespace weir::connector
