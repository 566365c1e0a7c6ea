#include "connector/sender.h"

#include "base/log.h"
#include "connector/answer.h"
#include "connector/envelope.h"
#include "connector/metrics.h"
#include "connector/streams.h"
#include "destination/firehose/destination.h"
#include "destination/firehose/request.h"
#include "destination/split_delivery.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace weir::connector {
namespace {

namespace firehose = destination::firehose;
using destination::CallResult;
using destination::SplitDelivery;
using destination::Unit;
using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;

constexpr std::int64_t kRecordsPerCallMax = 500;
constexpr std::int64_t kSinglesMax = 100;  // one call each: keeps a delivery short

// A call that meets these will never be taken for this delivery stream as it is.
bool final_for_call(const destination::AwsReply& reply) {
  return reply.code == "ResourceNotFoundException" ||
         firehose::blames_the_stream(reply.code, reply.message);
}

bool may_pass(FailureClass failure) {
  return failure == FailureClass::kTransient || failure == FailureClass::kThrottle ||
         failure == FailureClass::kCredentials || failure == FailureClass::kClock;
}

ByteVector vector_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

class Sender::Delivery final : private SplitDelivery::Service {
 public:
  Delivery(Sender& owner, const exporter::Batch& batch, const std::stop_token& stop)
      : owner_(owner),
        stream_(batch.stream_name()),
        messages_(batch.messages()),
        stop_(stop),
        split_(batch, "firehose", owner.metrics_, stop),
        records_(batch.size()),
        results_(batch.size()) {}

  Outcome run() {
    std::vector<Unit> units;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      const auto record = read_envelope(messages_[i].payload);
      if (!record || record->data.size() > kDataBytesMax) {
        split_.reject(i, "malformed", "it is no record of a connector");
        results_[i].damaged = true;
        continue;
      }
      records_[i] = *record;
      units.push_back({order_.size(), 1});
      order_.push_back(i);
    }
    split_.run(*this, order_, std::move(units));
    put_back();
    tell_progress();
    if (!write_answers()) {
      // Nobody knows of these records' fate yet; they are sent again (at least once).
      return Outcome::retry(FailureClass::kTransient, "interrupted because weir is stopping");
    }
    count();
    return split_.outcome();
  }

 private:
  struct Fate {
    std::string record_id;
    std::string code;
    std::string message;
    bool failed_alone = false;  // in a call that others got through
    bool put_back = false;
    bool damaged = false;
  };

  std::size_t fit(std::span<const Unit> units) override {
    if (owner_.options_.one_by_one()) return 1;
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (const Unit& unit : units) {
      bytes += records_[order_[unit.begin]].data.size();
      if (count == std::size_t{kRecordsPerCallMax}) break;
      if (count > 0 && bytes > std::size_t{firehose::kCallBytesMax}) break;
      ++count;
    }
    return count;
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    CallResult result;
    std::vector<Bytes> data;
    data.reserve(units.size());
    for (const Unit& unit : units) data.push_back(records_[order_[unit.begin]].data);
    const std::string& name = owner_.setup_.target.name;
    const bool alone = owner_.options_.one_by_one();
    const ByteBuffer body = alone ? firehose::put_record_body(name, data.front())
                                  : firehose::put_record_batch_body(name, data);
    result.reply = owner_.setup_.client->call(
        destination::json_call(alone ? firehose::kPutRecord : firehose::kPutRecordBatch,
                               firehose::kContentType, body.bytes()),
        stop);
    if (result.reply.failure != FailureClass::kNone) {
      refuse_call(units, result);
    } else if (alone) {
      const auto read = firehose::read_put_record(result.reply.http.body);
      if (!read) result.reply = destination::unbelievable(std::move(result.reply), read.error());
    } else {
      read_results(units, result);
    }
    if (result.reply.failure == FailureClass::kNone && result.failed.size() < units.size()) {
      auto ids = firehose::read_record_ids(result.reply.http.body, units.size());
      for (std::size_t i = 0; i < units.size(); ++i) {
        fate_of(units[i]).record_id = std::move(ids[i]);
      }
    }
    return result;
  }

  // Every record shares the answer to the call; it counts for those that are refused in the end.
  void refuse_call(std::span<const Unit> units, CallResult& result) {
    for (const Unit& unit : units) {
      Fate& fate = fate_of(unit);
      fate.code = result.reply.code;
      fate.message = result.reply.message;
    }
    if (!final_for_call(result.reply)) return;
    for (std::size_t i = 0; i < units.size(); ++i) {
      result.failed.push_back(
          {i, {Verdict::kRejected, FailureClass::kOperator, result.reply.error}});
    }
    result.reply.failure = FailureClass::kNone;
  }

  void read_results(std::span<const Unit> units, CallResult& result) {
    const auto failed = firehose::read_put_record_batch(result.reply.http.body, units.size());
    if (!failed) {
      result.reply = destination::unbelievable(std::move(result.reply), failed.error());
      return;
    }
    for (const destination::FailedRecord& record : *failed) {
      FailureClass failure = firehose::classify(record.code, record.message);
      const bool again = may_pass(failure);
      Fate& fate = fate_of(units[record.index]);
      fate.code = record.code;
      fate.message = record.message;
      fate.failed_alone = again;
      if (failure == FailureClass::kNone) failure = FailureClass::kPoison;
      result.failed.push_back({record.index,
                               {again ? Verdict::kRetry : Verdict::kRejected, failure,
                                log::escaped(record.code + ": " + record.message)}});
    }
  }

  void put_back() {
    if (owner_.options_.order != QueueOrder::kTail) return;
    auto& outcomes = split_.records();
    std::vector<ByteVector> copies;
    std::size_t settled = 0;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].verdict != Verdict::kRetry)
        ++settled;
      else if (results_[i].failed_alone)
        copies.push_back(vector_of(messages_[i].payload));
    }
    if (copies.empty() || copies.size() > settled) return;
    const auto definition = queue_definition(owner_.options_, owner_.setup_.target);
    const auto stored = owner_.appends_.append_all(definition, std::move(copies), stop_);
    if (!stored) {
      log::warn("Records cannot be put back at the end of their queue; they keep their place.",
                {{"connector", owner_.options_.name},
                 {"destination", owner_.arn_},
                 {"error", stored.error().what}});
      return;
    }
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i].verdict != Verdict::kRetry || !results_[i].failed_alone) continue;
      outcomes[i] = {Verdict::kDelivered, FailureClass::kNone, {}};
      results_[i].put_back = true;
    }
  }

  void tell_progress() {
    const auto& outcomes = split_.records();
    std::size_t settled = 0;
    while (settled < outcomes.size() && outcomes[settled].verdict != Verdict::kRetry) ++settled;
    if (settled == 0) return;
    owner_.progress_.settled(stream_, messages_.front().sequence,
                             messages_[settled - 1].sequence + 1);
  }

  bool write_answers() {
    std::vector<Answer> answers;
    std::size_t failed = 0;
    for (const std::size_t i : order_) {
      const auto& outcome = split_.records()[i];
      Fate& fate = results_[i];
      if (outcome.verdict == Verdict::kRetry || fate.put_back) continue;
      Answer answer{std::string(records_[i].id), std::move(fate.record_id), {}, {}};
      if (outcome.verdict == Verdict::kRejected) {
        answer.code = fate.code.empty() ? "InternalFailure" : fate.code;
        answer.message = fate.message;
        ++failed;
      }
      answers.push_back(std::move(answer));
    }
    if (answers.empty()) return true;
    std::vector<ByteVector> messages;
    for (const std::string& text : status_messages(answers, owner_.options_.version)) {
      messages.push_back(vector_of(as_bytes(text)));
    }
    const auto stored =
        owner_.appends_.append_all(answers_definition(owner_.options_), std::move(messages), stop_);
    const std::string& name = owner_.options_.name;
    if (stored) {
      owner_.metrics_.counter(kAnswersTotal, {name, "fail"}).add(failed);
      owner_.metrics_.counter(kAnswersTotal, {name, "success"}).add(answers.size() - failed);
      return true;
    }
    if (stored.error().code == Errc::kCancelled) return false;
    owner_.metrics_.counter(kLostAnswersTotal, {name, "not_stored"}).add(answers.size());
    log::error("Answers for the status topic cannot be written down; requesters will not get them.",
               {{"connector", name},
                {"destination", owner_.arn_},
                {"answers", answers.size()},
                {"error", stored.error().what}});
    return true;
  }

  void count() {
    std::size_t delivered = 0;
    std::size_t failed = 0;
    std::size_t requeued = 0;
    std::size_t damaged = 0;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const Verdict verdict = split_.records()[i].verdict;
      if (results_[i].damaged)
        ++damaged;
      else if (results_[i].put_back)
        ++requeued;
      else if (verdict == Verdict::kDelivered)
        ++delivered;
      else if (verdict == Verdict::kRejected)
        ++failed;
    }
    const auto add = [this](const char* result, std::size_t n) {
      if (n == 0) return;
      owner_.metrics_.counter(kRecordsTotal, {owner_.options_.name, owner_.arn_, result}).add(n);
    };
    add("delivered", delivered);
    add("failed", failed);
    add("requeued", requeued);
    add("damaged", damaged);
  }

  [[nodiscard]] Fate& fate_of(const Unit& unit) { return results_[order_[unit.begin]]; }

  Sender& owner_;
  const std::string& stream_;
  const std::vector<exporter::Message>& messages_;
  const std::stop_token stop_;
  SplitDelivery split_;
  std::vector<Enveloped> records_;  // by index in the batch, as all here
  std::vector<Fate> results_;
  std::vector<std::size_t> order_;  // what can be sent
};

Sender::Sender(Setup setup, const Surroundings& around)
    : setup_(std::move(setup)),
      options_(around.options),
      appends_(around.appends),
      progress_(around.progress),
      metrics_(around.metrics),
      arn_(setup_.target.text()) {}

exporter::Destination::Limits Sender::limits() const {
  Limits limits;
  limits.messages_max = options_.one_by_one() ? kSinglesMax : kRecordsPerCallMax;
  limits.batch_bytes_max = firehose::kCallBytesMax;
  return limits;
}

Outcome Sender::deliver(const exporter::Batch& batch, std::stop_token stop) {
  return Delivery(*this, batch, stop).run();
}

}  // namespace weir::connector
