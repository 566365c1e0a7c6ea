#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "destination/aws_client.h"
#include "destination/kinesis/partition_key.h"
#include "destination/kinesis/request.h"
#include "destination/options.h"
#include "exporter/destination.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir::destination::kinesis {

/// Delivers to one Kinesis data stream.
///
/// - ordering batch: PutRecords; records that the service failed are reported, the others stand.
/// - ordering per_key: the same, and every later record of a failed record's key is reported for
///   another try too, so that the last copy of each key is in order.
/// - ordering strict: PutRecord, one at a time, each naming the one before it.
///
/// With aggregation, messages of one partition key share records: a Kinesis record is then taken,
/// failed or refused for all messages in it, and a refused one is divided.
///
/// A call that the service refuses because of one record is split until that record is alone; only
/// then is it rejected. All of this stops at the first failure that is worth a retry, so that no
/// record is sent before an earlier one was taken or refused.
class KinesisDestination final : public exporter::Destination {
 public:
  struct Setup {
    std::string target;  ///< the data stream's name
    KinesisOptions options;
    KeyMaker keys;
    std::unique_ptr<AwsClient> client;
  };

  /// Lifetime: `clock` and `metrics` outlive the destination.
  KinesisDestination(Setup setup, Clock& clock, metrics::Registry& metrics);
  ~KinesisDestination() override;

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  /// Strict: keys are remembered from call to call, and the answers are what takes the time.
  [[nodiscard]] bool prepares() const override {
    return setup_.options.ordering != Ordering::kStrict;
  }
  std::unique_ptr<exporter::Preparation> prepare(
      const exporter::Batch& batch, std::unique_ptr<exporter::Preparation> old) override;
  [[nodiscard]] std::string host() const override { return setup_.client->host(); }
  [[nodiscard]] bool uses_credentials() const override { return true; }

 private:
  class Delivery;

  AwsReply put_records(Bytes body, std::string payload_hash, const std::stop_token& stop);
  AwsReply put_record(const Record& record, const std::stop_token& stop);
  void pause_between_calls(const std::stop_token& stop);

  Setup setup_;
  Clock& clock_;
  metrics::Registry& metrics_;
  Instant last_call_{};
  bool called_ = false;
  std::map<std::string, std::string, std::less<>> last_numbers_;  // strict: of each key
};

/// Errors: kInvalidArgument (a name that no data stream has, limits that contradict each other).
Result<void> validate(const std::string& target, const KinesisOptions& options);

}  // namespace weir::destination::kinesis
