#include "exporter/batch_reader.h"

#include <algorithm>
#include <limits>

namespace weir::exporter {
namespace {

// Fills a batch with the wanted records, as many as its bounds allow.
class BatchBuilder final : public stream::RecordSink {
 public:
  BatchBuilder(const Job& job, const Destination::Limits& limits, Batch& batch)
      : only_(job.grant.only),
        messages_max_(
            std::min(job.grant.messages_max, std::max<std::int64_t>(1, limits.messages_max))),
        bytes_max_(std::min(limits.batch_bytes_max, job.reserved_bytes)),
        overhead_(limits.message_overhead_bytes),
        first_bytes_max_(job.may_exceed_reservation ? std::numeric_limits<std::int64_t>::max()
                                                    : job.reserved_bytes),
        batch_(batch) {}

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

 private:
  [[nodiscard]] bool wanted(SequenceNumber sequence) const {
    return only_.empty() || std::binary_search(only_.begin(), only_.end(), sequence);
  }

  const std::vector<SequenceNumber>& only_;
  std::int64_t messages_max_;
  std::int64_t bytes_max_;
  std::int64_t overhead_;
  std::int64_t first_bytes_max_;
  Batch& batch_;
  std::int64_t bytes_ = 0;
  std::int64_t bytes_needed_ = 0;
  bool full_ = false;
};

}  // namespace

Result<void> read_batch(const Job& job, const Destination::Limits& limits, SequenceNumber from,
                        ReadBatch& into) {
  into.batch.clear();
  BatchBuilder builder(job, limits, into.batch);
  const auto& only = job.grant.only;
  const SequenceNumber durable_end = job.log->durable_end();
  const SequenceNumber stop_at =
      only.empty() ? durable_end : std::min(durable_end, only.back() + 1);
  SequenceNumber at = only.empty() ? from : only.front();
  while (at < stop_at && !builder.full() && !job.stop.stop_requested()) {
    const std::int64_t count = only.empty() ? builder.room() : stop_at - at;
    const auto read = job.log->read(at, durable_end, count, stream::ReadMode::kMayBlock, builder);
    if (!read) {
      if (!into.batch.empty()) break;
      return fail(read.error());
    }
    if (read->next <= at) break;
    at = read->next;
  }
  into.next = at;
  into.bytes_needed = into.batch.empty() ? builder.bytes_needed() : 0;
  return {};
}

}  // namespace weir::exporter
