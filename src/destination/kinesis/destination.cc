#include "destination/kinesis/destination.h"

#include "base/log.h"
#include "base/mutex.h"
#include "destination/kinesis/response.h"
#include "destination/metrics.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
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
// One bad record in 500 takes 18 calls to find; with many, the next delivery goes on.
constexpr int kCallsPerDeliveryMax = 128;

// Codes of single records are worth another try unless a person must act.
FailureClass class_of_record(const FailedRecord& record) {
  const FailureClass failure = record.code == "ProvisionedThroughputExceededException"
                                   ? FailureClass::kThrottle
                                   : FailureClass::kTransient;
  return record.code.starts_with("KMS") && record.code != "KMSThrottlingException"
             ? FailureClass::kOperator
             : failure;
}

AwsReply nonsense(AwsReply reply, const Error& error) {
  reply.failure = FailureClass::kTransient;
  reply.error = log::escaped("HTTP " + std::to_string(reply.http.status) + ": " + error.what);
  return reply;
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
  return {};
}

// The state of one `deliver`: what is known of each record, and which ranges are still to be sent.
class KinesisDestination::Delivery {
 public:
  Delivery(KinesisDestination& owner, const exporter::Batch& batch, std::stop_token stop)
      : owner_(owner), batch_(batch), stop_(std::move(stop)), outcomes_(batch.size()) {}

  Outcome run() {
    prepare();
    if (owner_.setup_.options.ordering == Ordering::kStrict) {
      send_one_by_one();
    } else {
      if (!sent_.empty()) ranges_.push_back({0, sent_.size()});
      while (!ranges_.empty() && !halted_) send_next_range();
      if (owner_.setup_.options.ordering == Ordering::kPerKey) repeat_keys_of_failures();
    }
    return outcome();
  }

 private:
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  // Makes the keys and sorts out what can never fit.
  void prepare() {
    const auto& messages = batch_.messages();
    keys_.reserve(messages.size());
    sent_.reserve(messages.size());
    const std::int64_t bytes_max = owner_.setup_.options.record_bytes_max;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      keys_.push_back(owner_.setup_.keys.make(messages[i]));
      const Record record{messages[i].payload, keys_.back()};
      if (record.bytes() > bytes_max) {
        reject(i, "too_large",
               "data and partition key have " + std::to_string(record.bytes()) +
                   " bytes, the limit is " + std::to_string(bytes_max));
      } else {
        sent_.push_back(i);
      }
    }
    records_.reserve(sent_.size());
    for (const std::size_t i : sent_) records_.push_back({messages[i].payload, keys_[i]});
  }

  void reject(std::size_t index, const char* reason, std::string text) {
    outcomes_[index] = {Verdict::kRejected, FailureClass::kPoison, std::move(text)};
    owner_.metrics_.counter(kRejectedMessagesTotal, {"kinesis", reason}).add();
  }

  void halt(AwsReply reply) {
    halted_ = true;
    last_ = std::move(reply);
  }

  [[nodiscard]] bool may_call() {
    if (stop_.stop_requested() || calls_ >= kCallsPerDeliveryMax) {
      AwsReply reply;
      reply.failure = FailureClass::kTransient;
      reply.error = stop_.stop_requested() ? "interrupted because weir or the export is stopping"
                                           : "isolating refused records goes on with the next try";
      halt(std::move(reply));
      return false;
    }
    ++calls_;
    owner_.pause_between_calls(stop_);
    return true;
  }

  // The longest prefix of `range` that fits into one call, at least one record.
  [[nodiscard]] Range prefix_that_fits(Range range) const {
    std::int64_t bytes = 0;
    std::size_t end = range.begin;
    while (end < range.end && end - range.begin < kRecordsPerCallMax) {
      bytes += records_[end].bytes();
      if (end > range.begin && bytes > owner_.setup_.options.call_bytes_max) break;
      ++end;
    }
    return {range.begin, end};
  }

  void send_next_range() {
    const Range whole = ranges_.back();
    ranges_.pop_back();
    const Range range = prefix_that_fits(whole);
    if (range.end < whole.end) ranges_.push_back({range.end, whole.end});
    if (!may_call()) return;
    const auto records =
        std::span<const Record>(records_).subspan(range.begin, range.end - range.begin);
    AwsReply reply = owner_.put_records(records, stop_);
    if (reply.failure == FailureClass::kNone) {
      take_results(range, std::move(reply));
    } else if (reply.failure == FailureClass::kPoison) {
      isolate(range, reply);
    } else {
      halt(std::move(reply));
    }
  }

  void take_results(Range range, AwsReply reply) {
    auto failed = read_put_records(reply.http.body, range.end - range.begin);
    if (!failed) {
      const Error error = failed.error();
      halt(nonsense(std::move(reply), error));
      return;
    }
    for (std::size_t i = range.begin; i < range.end; ++i) {
      outcomes_[sent_[i]].verdict = Verdict::kDelivered;
    }
    if (failed->empty()) return;
    for (const FailedRecord& record : *failed) {
      outcomes_[sent_[range.begin + record.index]] = {
          Verdict::kRetry, class_of_record(record),
          log::escaped(record.code + ": " + record.message)};
    }
    const RecordOutcome& first = outcomes_[sent_[range.begin + failed->front().index]];
    reply.failure = first.failure;
    reply.error =
        log::escaped(std::to_string(failed->size()) + " of " +
                     std::to_string(range.end - range.begin) + " records failed: " + first.reason);
    halt(std::move(reply));
  }

  // The service refused the call because of some record: find it.
  void isolate(Range range, const AwsReply& reply) {
    const std::size_t count = range.end - range.begin;
    if (count == 1) {
      reject(sent_[range.begin], "refused", reply.error);
      return;
    }
    const auto push = [this](std::size_t begin, std::size_t end) {
      if (begin < end) ranges_.push_back({begin, end});
    };
    if (const auto blamed = blamed_record(reply.message, count)) {
      const std::size_t at = range.begin + *blamed;
      push(at + 1, range.end);
      push(at, at + 1);
      push(range.begin, at);
    } else {
      const std::size_t middle = range.begin + count / 2;
      push(middle, range.end);
      push(range.begin, middle);
    }
  }

  void send_one_by_one() {
    for (std::size_t i = 0; i < records_.size() && !halted_; ++i) {
      if (!may_call()) return;
      AwsReply reply = owner_.put_record(records_[i], stop_);
      if (reply.failure == FailureClass::kNone) {
        outcomes_[sent_[i]].verdict = Verdict::kDelivered;
      } else if (reply.failure == FailureClass::kPoison) {
        reject(sent_[i], "refused", reply.error);
      } else {
        outcomes_[sent_[i]].failure = reply.failure;
        outcomes_[sent_[i]].reason = reply.error;
        halt(std::move(reply));
      }
    }
  }

  // Ordering per_key: what came behind a failed record of the same key is sent again behind it.
  void repeat_keys_of_failures() {
    std::set<std::string_view> failed;
    for (const std::size_t i : sent_) {
      if (outcomes_[i].verdict == Verdict::kRetry) failed.insert(keys_[i]);
      if (outcomes_[i].verdict == Verdict::kDelivered && failed.contains(keys_[i])) {
        outcomes_[i] = {Verdict::kRetry, last_.failure,
                        "sent again because an earlier record of its partition key failed"};
      }
    }
  }

  Outcome outcome() {
    const auto count = [this](Verdict verdict) {
      return std::count_if(outcomes_.begin(), outcomes_.end(),
                           [verdict](const RecordOutcome& r) { return r.verdict == verdict; });
    };
    const auto all = static_cast<std::ptrdiff_t>(outcomes_.size());
    if (count(Verdict::kDelivered) == all) return Outcome::delivered();
    if (count(Verdict::kRetry) == all && last_.http.status / 100 != 2) return last_.outcome();
    Outcome outcome = halted_ ? last_.outcome() : Outcome::rejected({});
    if (!halted_) {
      const auto refused =
          std::find_if(outcomes_.begin(), outcomes_.end(),
                       [](const RecordOutcome& r) { return r.verdict == Verdict::kRejected; });
      outcome.error = refused->reason;
    }
    for (RecordOutcome& record : outcomes_) {
      if (record.verdict != Verdict::kRetry || !record.reason.empty()) continue;
      record.failure = outcome.failure;
      record.reason = outcome.error;
    }
    outcome.records = std::move(outcomes_);
    return outcome;
  }

  KinesisDestination& owner_;
  const exporter::Batch& batch_;
  const std::stop_token stop_;
  std::vector<RecordOutcome> outcomes_;  // by index in the batch
  std::vector<std::string> keys_;        // by index in the batch
  std::vector<std::size_t> sent_;        // what can be sent, as indices in the batch
  std::vector<Record> records_;          // the same, ready to be written
  std::vector<Range> ranges_;            // of `records_`, the next one last
  int calls_ = 0;
  bool halted_ = false;
  AwsReply last_;
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
  return limits;
}

Outcome KinesisDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  return Delivery(*this, batch, std::move(stop)).run();
}

AwsReply KinesisDestination::put_records(std::span<const Record> records,
                                         const std::stop_token& stop) {
  const ByteBuffer body = put_records_body(setup_.target, records);
  AwsReply reply = setup_.client->call(json_call(kPutRecords, kContentType, body.bytes()), stop);
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
    if (!number) return nonsense(std::move(reply), number.error());
    if (chained) last_numbers_.insert_or_assign(std::string(record.key), std::move(*number));
    return reply;
  }
}

void KinesisDestination::pause_between_calls(const std::stop_token& stop) {
  const auto delay = std::chrono::milliseconds(setup_.options.inter_call_delay_ms);
  const Instant now = clock_.now();
  if (called_ && delay.count() > 0 && now < last_call_ + delay) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    // It guards nothing; waiting for a stop wants one.
    // cppcheck-suppress localMutex
    std::unique_lock<std::mutex> lock(mutex);
    stopped.wait_for(lock, stop, last_call_ + delay - now, [] { return false; });
  }
  called_ = true;
  last_call_ = clock_.now();
}

}  // namespace weir::destination::kinesis
