#include "exporter/delivery.h"

#include "base/log.h"
#include "exporter/farewell.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

namespace weir::exporter {
namespace {

// Fills a batch with the wanted records, as many as its bounds allow.
class BatchBuilder final : public stream::RecordSink {
 public:
  BatchBuilder(const Job& job, const Destination::Limits& limits)
      : only_(job.grant.only),
        messages_max_(
            std::min(job.grant.messages_max, std::max<std::int64_t>(1, limits.messages_max))),
        bytes_max_(std::min(limits.batch_bytes_max, job.reserved_bytes)),
        overhead_(limits.message_overhead_bytes),
        first_bytes_max_(job.may_exceed_reservation ? std::numeric_limits<std::int64_t>::max()
                                                    : job.reserved_bytes),
        batch_(job.stream_name, job.identifier) {}

  bool record(SequenceNumber sequence, std::int64_t append_ms, Bytes payload) override {
    if (full_) return false;
    if (!wanted(sequence)) return true;
    const auto bytes = static_cast<std::int64_t>(payload.size()) + overhead_;
    if (batch_.empty() ? bytes > first_bytes_max_ : bytes > bytes_max_ - bytes_) {
      if (batch_.empty()) bytes_needed_ = bytes;
      full_ = true;
      return false;
    }
    batch_.add(sequence, append_ms, payload);
    bytes_ += bytes;
    full_ = static_cast<std::int64_t>(batch_.size()) >= messages_max_;
    return true;
  }

  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] std::int64_t bytes_needed() const { return bytes_needed_; }
  [[nodiscard]] std::int64_t room() const {
    return messages_max_ - static_cast<std::int64_t>(batch_.size());
  }
  [[nodiscard]] Batch& batch() { return batch_; }

 private:
  [[nodiscard]] bool wanted(SequenceNumber sequence) const {
    return only_.empty() || std::binary_search(only_.begin(), only_.end(), sequence);
  }

  const std::vector<SequenceNumber>& only_;
  std::int64_t messages_max_;
  std::int64_t bytes_max_;
  std::int64_t overhead_;
  std::int64_t first_bytes_max_;
  Batch batch_;
  std::int64_t bytes_ = 0;
  std::int64_t bytes_needed_ = 0;
  bool full_ = false;
};

// Where reading goes on, or why it cannot. A failure behind records that were read already is left
// for the next batch to meet.
Result<SequenceNumber> fill(const Job& job, BatchBuilder& builder) {
  const auto& only = job.grant.only;
  const SequenceNumber durable_end = job.log->durable_end();
  const SequenceNumber stop_at =
      only.empty() ? durable_end : std::min(durable_end, only.back() + 1);
  SequenceNumber at = only.empty() ? job.grant.from : only.front();
  while (at < stop_at && !builder.full() && !job.stop.stop_requested()) {
    const std::int64_t count = only.empty() ? builder.room() : stop_at - at;
    const auto read = job.log->read(at, durable_end, count, stream::ReadMode::kMayBlock, builder);
    if (!read) {
      if (!builder.batch().empty()) return at;
      return fail(read.error());
    }
    if (read->next <= at) break;
    at = read->next;
  }
  return at;
}

std::vector<Delivery::Sent> sent_of(const Batch& batch) {
  std::vector<Delivery::Sent> sent;
  sent.reserve(batch.size());
  for (const Message& message : batch.messages()) {
    sent.push_back({message.sequence, static_cast<std::int64_t>(message.payload.size())});
  }
  return sent;
}

// A destination that throws has a bug; its data must survive that.
Outcome deliver_safely(Destination& destination, const Batch& batch, const std::stop_token& stop) {
  try {
    return destination.deliver(batch, stop);
  } catch (const std::exception& problem) {
    return Outcome::retry(FailureClass::kBug,
                          std::string("the delivery broke off: ") + log::escaped(problem.what()));
  }
}

bool got_through(const Outcome& outcome) {
  if (outcome.records.empty()) return outcome.verdict != Verdict::kRetry;
  return std::any_of(outcome.records.begin(), outcome.records.end(),
                     [](const RecordOutcome& r) { return r.verdict != Verdict::kRetry; });
}

Delivery read_and_deliver(const Job& job) {
  Delivery delivery;
  delivery.limits = job.destination->limits();
  BatchBuilder builder(job, delivery.limits);
  const auto next = fill(job, builder);
  delivery.oldest = job.log->oldest();
  if (!next) {
    delivery.kind = Delivery::Kind::kReadFailed;
    delivery.outcome =
        Outcome::retry(FailureClass::kTransient, "read the stream: " + next.error().what);
    return delivery;
  }
  delivery.next = *next;
  if (builder.batch().empty() && builder.bytes_needed() > 0) {
    delivery.kind = Delivery::Kind::kNeedsBytes;
    delivery.bytes_needed = builder.bytes_needed();
    return delivery;
  }
  if (job.stop.stop_requested()) {
    delivery.kind = Delivery::Kind::kInterrupted;
    return delivery;
  }
  if (builder.batch().empty()) return delivery;
  delivery.sent = sent_of(builder.batch());
  delivery.outcome = deliver_safely(*job.destination, builder.batch(), job.stop);
  if (job.stop.stop_requested() && !got_through(delivery.outcome)) {
    delivery.kind = Delivery::Kind::kInterrupted;
  }
  return delivery;
}

Delivery visit_idle(const Job& job) {
  try {
    job.destination->on_idle(job.stop);
    Delivery delivery;
    delivery.idle_deadline = job.destination->idle_deadline();
    return delivery;
  } catch (const std::exception& problem) {
    log::error(
        "An idle destination failed at what it had to finish; the next delivery tries.",
        {{"stream", job.stream_name}, {"destination", job.identifier}, {"error", problem.what()}});
    return {};
  }
}

Delivery say_farewell(const Job& job) {
  try {
    auto left = job.left_behind;
    if (!left) left = read_farewell(job.stream_name, job.identifier, *job.log, job.grant.from);
    left->note = job.note;
    job.destination->farewell(*left, job.stop);
  } catch (const std::exception& problem) {
    log::error(
        "A destination failed while it was removed.",
        {{"stream", job.stream_name}, {"destination", job.identifier}, {"error", problem.what()}});
  }
  return {};
}

}  // namespace

Delivery run_job(const Job& job) {
  if (job.farewell) return say_farewell(job);
  if (job.idle_visit) return visit_idle(job);
  Delivery delivery;
  try {
    delivery = read_and_deliver(job);
    delivery.idle_deadline = job.destination->idle_deadline();
  } catch (const std::exception& problem) {
    delivery.kind = Delivery::Kind::kReadFailed;
    delivery.outcome = Outcome::retry(
        FailureClass::kTransient, std::string("read the stream: ") + log::escaped(problem.what()));
  }
  delivery.generation = job.grant.generation;
  return delivery;
}

}  // namespace weir::exporter
