#include "destination/firehose/destination.h"

#include "base/log.h"
#include "destination/compression.h"
#include "destination/firehose/request.h"
#include "destination/lines.h"
#include "destination/split_delivery.h"

#include <algorithm>
#include <utility>

namespace weir::destination::firehose {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using exporter::Verdict;

constexpr std::int64_t kRecordsPerCallMax = 500;
constexpr std::int64_t kPackedMessagesMax = 20'000;
constexpr std::int64_t kStrictRecordsMax = 100;  // one call each: keeps a delivery short
constexpr std::size_t kTargetCharactersMax = 64;
constexpr std::size_t kDelimiterBytesMax = 16;

FailureClass class_of_record(const FailedRecord& record) {
  const FailureClass failure = classify(record.code, record.message);
  // Single records are only ever told to come again later.
  const bool worth_a_retry =
      failure == FailureClass::kThrottle || failure == FailureClass::kOperator;
  return worth_a_retry ? failure : FailureClass::kTransient;
}

}  // namespace

Result<void> validate(const std::string& target, const FirehoseOptions& options) {
  const bool named = !target.empty() && target.size() <= kTargetCharactersMax &&
                     std::all_of(target.begin(), target.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
                     });
  if (!named) {
    return fail(Errc::kInvalidArgument, "'" + log::escaped(target, 80) +
                                            "' is not the name of a Firehose stream: 1 to 64 "
                                            "letters, digits, '_', '.', '-'");
  }
  if (options.delimiter.size() > kDelimiterBytesMax) {
    return fail(Errc::kInvalidArgument,
                "the delimiter of a Firehose export has more than 16 bytes");
  }
  if (options.packing && options.delimiter.empty()) {
    return fail(Errc::kInvalidArgument,
                "packing without a delimiter would glue messages together; set a delimiter");
  }
  if (options.packing && options.ordering == Ordering::kStrict) {
    return fail(Errc::kInvalidArgument,
                "ordering strict sends one message per call; it cannot be had with packing");
  }
  if (options.packing_bytes_max < 1 || options.packing_bytes_max > kRecordBytesMax) {
    return fail(Errc::kInvalidArgument, "packing_bytes_max must be from 1 to 1024000");
  }
  return {};
}

class FirehoseDestination::Delivery final : private SplitDelivery::Service {
 public:
  Delivery(FirehoseDestination& owner, const exporter::Batch& batch, std::stop_token stop)
      : setup_(owner.setup_),
        options_(owner.setup_.options),
        messages_(batch.messages()),
        split_(batch, "firehose", owner.metrics_, std::move(stop)) {}

  Outcome run() {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      const std::size_t bytes = record_bytes(messages_[i].payload);
      if (bytes > static_cast<std::size_t>(kRecordBytesMax)) {
        split_.reject(i, "too_large",
                      "the record has " + std::to_string(bytes) + " bytes, the limit is " +
                          std::to_string(kRecordBytesMax));
      } else {
        order_.push_back(i);
      }
    }
    split_.run(*this, order_, make_units());
    return split_.outcome();
  }

 private:
  // A record as it is sent; `owned` holds it unless it is a message as it is.
  struct Built {
    ByteBuffer owned;
    Bytes data;
  };

  // What a message alone takes.
  [[nodiscard]] std::size_t record_bytes(Bytes payload) const {
    const std::size_t plain =
        payload.size() +
        (wants_delimiter(payload, options_.delimiter) ? options_.delimiter.size() : 0);
    const std::size_t most = compressed_bytes_max(plain, options_.compression);
    if (options_.compression == Compression::kNone || most <= kRecordBytesMax / 2) return most;
    ByteBuffer line;
    append_line(line, payload, options_.delimiter);
    const auto packed = compressed(line.bytes(), options_.compression);
    return packed ? packed->size() : most;
  }

  [[nodiscard]] std::vector<Unit> make_units() const {
    std::vector<Unit> units;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::size_t with =
          bytes + messages_[order_[i]].payload.size() + options_.delimiter.size();
      const bool fits =
          options_.packing && !units.empty() &&
          static_cast<std::int64_t>(with) <= options_.packing_bytes_max &&
          compressed_bytes_max(with, options_.compression) <= std::size_t{kRecordBytesMax};
      if (fits) {
        ++units.back().count;
        bytes = with;
      } else {
        units.push_back({i, 1});
        bytes = with - bytes;
      }
    }
    return units;
  }

  [[nodiscard]] Built build(const Unit& unit) const {
    const Bytes first = messages_[order_[unit.begin]].payload;
    Built built{{}, first};
    if (unit.count > 1 || wants_delimiter(first, options_.delimiter)) {
      for (std::size_t i = 0; i < unit.count; ++i) {
        append_line(built.owned, messages_[order_[unit.begin + i]].payload, options_.delimiter);
      }
      built.data = built.owned.bytes();
    }
    if (options_.compression != Compression::kNone) {
      // Without memory for a compressor it goes as it is: readers recognise compressed data.
      if (auto packed = compressed(built.data, options_.compression)) {
        built.owned = std::move(*packed);
        built.data = built.owned.bytes();
      }
    }
    return built;
  }

  std::size_t fit(std::span<const Unit> units) override {
    built_.clear();
    const std::size_t most =
        options_.ordering == Ordering::kStrict ? 1 : std::size_t{kRecordsPerCallMax};
    built_.reserve(std::min(units.size(), most));
    std::size_t bytes = 0;
    for (const Unit& unit : units) {
      if (built_.size() == most) break;
      Built built = build(unit);
      bytes += built.data.size();
      if (!built_.empty() && bytes > std::size_t{kCallBytesMax}) break;
      built_.push_back(std::move(built));
    }
    return built_.size();
  }

  CallResult send(std::span<const Unit> units, const std::stop_token& stop) override {
    CallResult result;
    if (options_.ordering == Ordering::kStrict) {
      const ByteBuffer body = put_record_body(setup_.target, built_.front().data);
      result.reply = setup_.client->call(json_call(kPutRecord, kContentType, body.bytes()), stop);
      if (result.reply.failure != FailureClass::kNone) return result;
      const auto read = read_put_record(result.reply.http.body);
      if (!read) result.reply = unbelievable(std::move(result.reply), read.error());
      return result;
    }
    std::vector<Bytes> records;
    records.reserve(units.size());
    for (std::size_t i = 0; i < units.size(); ++i) records.push_back(built_[i].data);
    const ByteBuffer body = put_record_batch_body(setup_.target, records);
    result.reply =
        setup_.client->call(json_call(kPutRecordBatch, kContentType, body.bytes()), stop);
    if (result.reply.failure != FailureClass::kNone) return result;
    add_results(result, read_put_record_batch(result.reply.http.body, units.size()),
                class_of_record);
    return result;
  }

  const Setup& setup_;
  const FirehoseOptions& options_;
  const std::vector<exporter::Message>& messages_;
  SplitDelivery split_;
  std::vector<std::size_t> order_;  // what can be sent, as indices in the batch
  std::vector<Built> built_;        // what `fit` counted, for `send`
};

FirehoseDestination::FirehoseDestination(Setup setup, metrics::Registry& metrics)
    : setup_(std::move(setup)), metrics_(metrics) {}

exporter::Destination::Limits FirehoseDestination::limits() const {
  Limits limits;
  limits.messages_max = setup_.options.packing                         ? kPackedMessagesMax
                        : setup_.options.ordering == Ordering::kStrict ? kStrictRecordsMax
                                                                       : kRecordsPerCallMax;
  limits.batch_bytes_max = kCallBytesMax;
  limits.message_overhead_bytes = static_cast<std::int64_t>(setup_.options.delimiter.size());
  return limits;
}

Outcome FirehoseDestination::deliver(const exporter::Batch& batch, std::stop_token stop) {
  return Delivery(*this, batch, std::move(stop)).run();
}

}  // namespace weir::destination::firehose
