#include "destination/kinesis/destination.h"

#include "base/log.h"
#include "base/pause.h"
#include "base/scratch.h"
#include "destination/compression.h"
#include "destination/kinesis/aggregate.h"
#include "destination/kinesis/response.h"
#include "destination/lines.h"
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

constexpr std::int64_t kRecordsPerCallMax = 500;
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
  Delivery(KinesisDestination& owner, const exporter::Batch& batch, std::stop_token stop)
      : owner_(owner),
        options_(owner.setup_.options),
        messages_(batch.messages()),
        stop_(std::move(stop)),
        split_(batch, "kinesis", owner.metrics_, stop_) {}

  Outcome run() {
    make_keys();
    if (options_.ordering == Ordering::kStrict) {
      send_one_by_one();
    } else {
      split_.run(*this, order_, make_units());
      if (options_.ordering == Ordering::kPerKey) repeat_keys_of_failures();
    }
    return split_.outcome();
  }

 private:
  // A record as it is sent; `owned` holds its data unless that is a message as it is.
  struct Built {
    ByteBuffer owned;
    Record record;
  };

  // Makes the keys and sorts out what can never fit. One key for a whole aggregate is made later,
  // when it is known what the aggregate holds.
  void make_keys() {
    keys_.resize(messages_.size());
    const bool later = aggregates() && options_.partition_key.kind == PartitionKey::Kind::kRandom;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (!later) keys_[i] = owner_.setup_.keys.make(messages_[i]);
      const std::size_t key_bytes = later ? owner_.setup_.keys.bytes_max() : keys_[i].size();
      const auto bytes = static_cast<std::int64_t>(data_bytes(messages_[i].payload) + key_bytes);
      if (bytes > options_.record_bytes_max) {
        split_.reject(i, "too_large",
                      "data and partition key have " + std::to_string(bytes) +
                          " bytes, the limit is " + std::to_string(options_.record_bytes_max));
      } else {
        order_.push_back(i);
      }
    }
  }

  [[nodiscard]] bool aggregates() const { return options_.aggregation != Aggregation::kNone; }

  // What a message alone takes in a record.
  [[nodiscard]] std::size_t data_bytes(Bytes payload) const {
    if (options_.aggregation == Aggregation::kKpl && looks_aggregated(payload)) {
      return AggregateSize(owner_.setup_.keys.bytes_max()).with(payload.size());
    }
    const std::size_t lines = options_.aggregation == Aggregation::kLines ? 1 : 0;
    const std::size_t plain = payload.size() + lines;
    if (options_.compression == Compression::kNone) return plain;
    const std::size_t most = compressed_bytes_max(plain, options_.compression);
    if (static_cast<std::int64_t>(most) <= options_.record_bytes_max / 2) return most;
    const auto packed = compressed(payload, options_.compression);
    return packed ? packed->size() + lines : most;
  }

  std::vector<Unit> make_units() {
    std::vector<Unit> units;
    if (!aggregates()) {
      units.reserve(order_.size());
      for (std::size_t i = 0; i < order_.size(); ++i) units.push_back({i, 1});
      return units;
    }
    // Messages of one key stand together, each group in stream order.
    std::map<std::string_view, std::vector<std::size_t>> groups;
    for (const std::size_t i : order_) groups[keys_[i]].push_back(i);
    order_.clear();
    for (const auto& [key, group] : groups) divide(key.size(), group, units);
    std::sort(units.begin(), units.end(), [this](const Unit& left, const Unit& right) {
      return order_[left.begin] < order_[right.begin];
    });
    for (const Unit& unit : units) {
      if (!keys_[order_[unit.begin]].empty()) continue;
      const std::string key = owner_.setup_.keys.make(messages_[order_[unit.begin]]);
      for (std::size_t i = 0; i < unit.count; ++i) keys_[order_[unit.begin + i]] = key;
    }
    return units;
  }

  // Appends `group` to the order and divides it into units that are not too large.
  void divide(std::size_t key_bytes, const std::vector<std::size_t>& group,
              std::vector<Unit>& units) {
    if (key_bytes == 0) key_bytes = owner_.setup_.keys.bytes_max();
    const auto most = static_cast<std::size_t>(
        std::min(options_.aggregation_bytes_max,
                 options_.record_bytes_max - static_cast<std::int64_t>(key_bytes)));
    const bool kpl = options_.aggregation == Aggregation::kKpl;
    AggregateSize container(key_bytes);
    std::size_t lines = 0;
    bool open = false;
    for (const std::size_t i : group) {
      const std::size_t bytes = messages_[i].payload.size();
      const std::size_t with = kpl ? container.with(bytes)
                                   : compressed_bytes_max(lines + bytes + 1, options_.compression);
      if (!open || with > most) {
        units.push_back({order_.size(), 0});
        container = AggregateSize(key_bytes);
        lines = 0;
        open = true;
      }
      container.add(bytes);
      lines += bytes + 1;
      ++units.back().count;
      order_.push_back(i);
    }
  }

  Built build(const Unit& unit) const {
    const std::string& key = keys_[order_[unit.begin]];
    const Bytes first = messages_[order_[unit.begin]].payload;
    const bool kpl = options_.aggregation == Aggregation::kKpl;
    Built built{{}, {first, key}};
    if (kpl && (unit.count > 1 || looks_aggregated(first))) {
      std::vector<Bytes> inside;
      for (std::size_t i = 0; i < unit.count; ++i) {
        inside.push_back(messages_[order_[unit.begin + i]].payload);
      }
      built.owned = aggregate(key, inside);
    } else if (options_.aggregation == Aggregation::kLines) {
      for (std::size_t i = 0; i < unit.count; ++i) {
        append_line(built.owned, messages_[order_[unit.begin + i]].payload, "\n");
      }
    }
    if (options_.compression != Compression::kNone) {
      const Bytes plain = built.owned.empty() ? first : built.owned.bytes();
      // Without memory for a compressor the data goes as it is rather than not at all: readers
      // recognise compressed data by its first bytes.
      if (auto packed = compressed(plain, options_.compression)) built.owned = std::move(*packed);
    }
    if (!built.owned.empty()) built.record.data = built.owned.bytes();
    return built;
  }

  std::size_t fit(std::span<const Unit> units) override {
    built_.clear();
    built_.reserve(std::min<std::size_t>(units.size(), kRecordsPerCallMax));
    std::int64_t bytes = 0;
    for (const Unit& unit : units) {
      if (built_.size() == kRecordsPerCallMax) break;
      Built built = build(unit);
      bytes += built.record.bytes();
      if (!built_.empty() && bytes > options_.call_bytes_max) break;
      built_.push_back(std::move(built));
    }
    return built_.size();
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    owner_.pause_between_calls(stop);
    std::vector<Record> records;
    records.reserve(units.size());
    for (std::size_t i = 0; i < units.size(); ++i) records.push_back(built_[i].record);
    CallResult result;
    result.reply = owner_.put_records(records, stop);
    if (result.reply.failure == FailureClass::kPoison) {
      result.blamed = blamed_record(result.reply.message, units.size());
    }
    if (result.reply.failure != FailureClass::kNone) return result;
    add_results(result, read_put_records(result.reply.http.body, units.size()), class_of_record);
    return result;
  }

  void send_one_by_one() {
    for (const std::size_t i : order_) {
      if (!split_.may_call()) return;
      owner_.pause_between_calls(stop_);
      const Built built = build_alone(i);
      AwsReply reply = owner_.put_record(built.record, stop_);
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

  // Ordering strict does not aggregate.
  [[nodiscard]] Built build_alone(std::size_t message) const {
    Built built{{}, {messages_[message].payload, keys_[message]}};
    if (options_.compression == Compression::kNone) return built;
    if (auto packed = compressed(built.record.data, options_.compression)) {
      built.owned = std::move(*packed);
      built.record.data = built.owned.bytes();
    }
    return built;
  }

  // Ordering per_key: what came behind a failed record of the same key is sent again behind it.
  void repeat_keys_of_failures() {
    std::set<std::string_view> failed;
    auto& records = split_.records();
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (records[i].verdict == Verdict::kRetry) failed.insert(keys_[i]);
      if (records[i].verdict == Verdict::kDelivered && failed.contains(keys_[i])) {
        records[i] = {Verdict::kRetry, split_.last().failure,
                      "sent again because an earlier record of its partition key failed"};
      }
    }
  }

  KinesisDestination& owner_;
  const KinesisOptions& options_;
  const std::vector<exporter::Message>& messages_;
  const std::stop_token stop_;
  SplitDelivery split_;
  std::vector<std::string> keys_;   // by index in the batch
  std::vector<std::size_t> order_;  // what can be sent, as indices in the batch
  std::vector<Built> built_;        // what `fit` counted, for `send`
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
  return Delivery(*this, batch, std::move(stop)).run();
}

AwsReply KinesisDestination::put_records(std::span<const Record> records,
                                         const std::stop_token& stop) {
  Scratch body(kKeptBodyBytesMax);
  put_records_body(setup_.target, records, body.buffer());
  AwsReply reply =
      setup_.client->call(json_call(kPutRecords, kContentType, body.buffer().bytes()), stop);
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
