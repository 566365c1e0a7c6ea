#include "destination/kinesis/destination.h"

#include "base/log.h"
#include "base/pause.h"
#include "base/scratch.h"
#include "destination/kinesis/plan.h"
#include "destination/kinesis/response.h"
#include "destination/metrics.h"
#include "destination/split_delivery.h"

#include <algorithm>
#include <set>
#include <span>
#include <utility>

namespace weir::destination::kinesis {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::RecordOutcome;
using exporter::Verdict;

constexpr std::int64_t kStrictRecordsMax = 100;  // one call each: keeps a delivery short
constexpr std::int64_t kServiceBytesMax = 10 << 20;
constexpr std::size_t kTargetCharactersMax = 128;
constexpr std::size_t kStrictKeysMax = 10'000;
// A worker keeps the memory of its last body up to this size: one full call of small messages.
constexpr std::size_t kKeptBodyBytesMax = 1 << 20;
constexpr std::int64_t kAggregatedMessagesMax = 20'000;
// Each message of an aggregate costs about this besides itself.
constexpr std::int64_t kAggregatedOverheadBytes = 12;

// Codes of single records are worth another try unless a person must act.
FailureClass class_of_record(const FailedRecord& record) {
  const FailureClass failure = record.code == "ProvisionedThroughputExceededException"
                                   ? FailureClass::kThrottle
                                   : FailureClass::kTransient;
  return record.code.starts_with("KMS") && record.code != "KMSThrottlingException"
             ? FailureClass::kOperator
             : failure;
}

// The records may be fine: it is the name in our request that the service does not take.
bool blames_the_stream(const AwsReply& reply) {
  return reply.message.find("'streamName'") != std::string::npos ||
         reply.message.find("'streamARN'") != std::string::npos;
}

}  // namespace

Result<void> validate(const std::string& target, const KinesisOptions& options) {
  const bool named = !target.empty() && target.size() <= kTargetCharactersMax &&
                     std::all_of(target.begin(), target.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                     });
  if (!named) {
    return fail(Errc::kInvalidArgument,
                "kinesisStreamName '" + log::escaped(target, 80) +
                    "' is not the name of a data stream: 1 to 128 letters, digits, '_', '.', '-'");
  }
  if (options.record_bytes_max < 1 || options.call_bytes_max > kServiceBytesMax ||
      options.record_bytes_max > options.call_bytes_max) {
    return fail(Errc::kInvalidArgument,
                "the size limits of a Kinesis export must be 1 <= record_bytes_max <= "
                "call_bytes_max <= 10485760");
  }
  if (options.aggregation != Aggregation::kNone && options.ordering == Ordering::kStrict) {
    return fail(Errc::kInvalidArgument,
                "ordering strict sends one message per call; it cannot be had with aggregation");
  }
  if (options.aggregation == Aggregation::kKpl && options.compression != Compression::kNone) {
    return fail(Errc::kInvalidArgument,
                "consumers cannot take apart a compressed kpl aggregate; choose aggregation lines "
                "or no compression");
  }
  return {};
}

// The state of one `deliver`.
class KinesisDestination::Delivery final : private SplitDelivery::Service {
 public:
  Delivery(KinesisDestination& owner, Plan& plan, const exporter::Batch& batch,
           std::stop_token stop)
      : owner_(owner),
        options_(owner.setup_.options),
        plan_(plan),
        stop_(std::move(stop)),
        split_(batch, "kinesis", owner.metrics_, stop_) {}

  Outcome run() {
    for (const Plan::Refused& refused : plan_.refused()) {
      split_.reject(refused.message, "too_large", refused.why);
    }
    if (options_.ordering == Ordering::kStrict) {
      send_one_by_one();
    } else {
      split_.run(*this, plan_.order(), plan_.units());
      if (options_.ordering == Ordering::kPerKey) repeat_keys_of_failures();
    }
    return split_.outcome();
  }

 private:
  std::size_t fit(std::span<const Unit> units) override {
    const std::size_t ready = plan_.first_call_units();
    return ready > 0 ? ready : plan_.fit(units);
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    owner_.pause_between_calls(stop);
    CallResult result;
    if (const Plan::Call* ready = plan_.take_first_call()) {
      result.reply = owner_.put_records(ready->body.bytes(), ready->payload_hash, stop);
    } else {
      Scratch body(kKeptBodyBytesMax);
      put_records_body(owner_.setup_.target, plan_.records(units.size()), body.buffer());
      result.reply = owner_.put_records(body.buffer().bytes(), {}, stop);
    }
    if (result.reply.failure == FailureClass::kPoison) {
      result.blamed = blamed_record(result.reply.message, units.size());
    }
    if (result.reply.failure != FailureClass::kNone) return result;
    add_results(result, read_put_records(result.reply.http.body, units.size()), class_of_record);
    return result;
  }

  void send_one_by_one() {
    const Instant begun = owner_.clock_.now();
    for (const std::size_t i : plan_.order()) {
      if (owner_.clock_.now() - begun >= exporter::kDeliveryTime) split_.leave_rest();
      if (split_.halted() || !split_.may_call()) return;
      owner_.pause_between_calls(stop_);
      AwsReply reply = owner_.put_record(plan_.record_alone(i), stop_);
      if (reply.failure == FailureClass::kNone) {
        split_.records()[i].verdict = Verdict::kDelivered;
      } else if (reply.failure == FailureClass::kPoison) {
        split_.reject(i, "refused", reply.error);
      } else {
        split_.records()[i].failure = reply.failure;
        split_.records()[i].reason = reply.error;
        split_.halt(std::move(reply));
        return;
      }
    }
  }

  // Ordering per_key: what came behind a failed record of the same key is sent again behind it.
  void repeat_keys_of_failures() {
    std::set<std::string_view> failed;
    auto& records = split_.records();
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (records[i].verdict == Verdict::kRetry) failed.insert(plan_.key(i));
      if (records[i].verdict == Verdict::kDelivered && failed.contains(plan_.key(i))) {
        records[i] = {Verdict::kRetry, split_.last().failure,
                      "sent again because an earlier record of its partition key failed"};
      }
    }
  }

  KinesisDestination& owner_;
  const KinesisOptions& options_;
  Plan& plan_;
  const std::stop_token stop_;
  SplitDelivery split_;
};

KinesisDestination::KinesisDestination(Setup setup, Clock& clock, metrics::Registry& metrics)
    : setup_(std::move(setup)), clock_(clock), metrics_(metrics) {}

KinesisDestination::~KinesisDestination() = default;

exporter::Destination::Limits KinesisDestination::limits() const {
  Limits limits;
  limits.messages_max =
      setup_.options.ordering == Ordering::kStrict ? kStrictRecordsMax : kRecordsPerCallMax;
  limits.batch_bytes_max = setup_.options.call_bytes_max;
  limits.message_overhead_bytes = static_cast<std::int64_t>(setup_.keys.bytes_max());
  if (setup_.options.aggregation != Aggregation::kNone) {
    limits.messages_max = kAggregatedMessagesMax;
    limits.message_overhead_bytes = kAggregatedOverheadBytes;
  }
  return limits;
}

Outcome KinesisDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  if (auto* const ready = static_cast<Plan*>(batch.preparation())) {
    return Delivery(*this, *ready, batch, std::move(stop)).run();
  }
  Plan plan(setup_.options, setup_.keys);
  plan.make(batch.messages());
  return Delivery(*this, plan, batch, std::move(stop)).run();
}

std::unique_ptr<exporter::Preparation> KinesisDestination::prepare(
    const exporter::Batch& batch, std::unique_ptr<exporter::Preparation> old) {
  if (old == nullptr) old = std::make_unique<Plan>(setup_.options, setup_.keys);
  auto& plan = static_cast<Plan&>(*old);
  plan.make(batch.messages());
  plan.make_first_call(setup_.target);
  return old;
}

AwsReply KinesisDestination::put_records(Bytes body, std::string payload_hash,
                                         const std::stop_token& stop) {
  AwsCall call = json_call(kPutRecords, kContentType, body);
  call.payload_hash = std::move(payload_hash);
  AwsReply reply = setup_.client->call(call, stop);
  if (reply.failure == FailureClass::kPoison && blames_the_stream(reply)) {
    reply.failure = FailureClass::kOperator;
  }
  return reply;
}

AwsReply KinesisDestination::put_record(const Record& record, const std::stop_token& stop) {
  // Random keys never come again: there is nothing to remember for them.
  const bool chained = setup_.options.partition_key.kind != PartitionKey::Kind::kRandom;
  if (last_numbers_.size() > kStrictKeysMax) last_numbers_.clear();
  const auto known = last_numbers_.find(record.key);
  std::string after = chained && known != last_numbers_.end() ? known->second : std::string();
  for (;;) {
    const ByteBuffer body = put_record_body(setup_.target, record, after);
    AwsReply reply = setup_.client->call(json_call(kPutRecord, kContentType, body.bytes()), stop);
    if (reply.failure == FailureClass::kPoison && blames_the_stream(reply)) {
      reply.failure = FailureClass::kOperator;
    }
    if (reply.failure == FailureClass::kPoison && !after.empty()) {
      // Perhaps it is the number of the record before that the service refuses.
      after.clear();
      last_numbers_.erase(std::string(record.key));
      continue;
    }
    if (reply.failure != FailureClass::kNone) return reply;
    auto number = read_put_record(reply.http.body);
    if (!number) return unbelievable(std::move(reply), number.error());
    if (chained) last_numbers_.insert_or_assign(std::string(record.key), std::move(*number));
    return reply;
  }
}

void KinesisDestination::pause_between_calls(const std::stop_token& stop) {
  const auto delay = std::chrono::milliseconds(setup_.options.inter_call_delay_ms);
  const Instant now = clock_.now();
  if (called_ && delay.count() > 0 && now < last_call_ + delay) {
    pause_for(last_call_ + delay - now, stop);
  }
  called_ = true;
  last_call_ = clock_.now();
}

}  // namespace weir::destination::kinesis
