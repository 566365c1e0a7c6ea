#include "destination/kinesis/plan.h"

#include "destination/compression.h"
#include "destination/kinesis/aggregate.h"
#include "destination/lines.h"
#include "destination/sigv4.h"

#include <algorithm>
#include <map>
#include <utility>

namespace weir::destination::kinesis {

void Plan::make(std::span<const exporter::Message> messages) {
  messages_ = messages;
  refused_.clear();
  order_.clear();
  units_.clear();
  built_.clear();
  first_is_ready_ = false;
  make_keys();
  make_units();
}

// Makes the keys and sorts out what can never fit. One key for a whole aggregate is made later,
// when it is known what the aggregate holds.
void Plan::make_keys() {
  message_keys_.resize(messages_.size());
  const bool later = aggregates() && options_.partition_key.kind == PartitionKey::Kind::kRandom;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    message_keys_[i].clear();
    const auto data = static_cast<std::int64_t>(data_bytes(messages_[i].payload));
    const bool hopeless = data > options_.record_bytes_max;  // then it needs no key
    if (!later && !hopeless) keys_.make(messages_[i], message_keys_[i]);
    const auto key = static_cast<std::int64_t>(later ? keys_.bytes_max() : message_keys_[i].size());
    if (hopeless || data + key > options_.record_bytes_max) {
      refused_.push_back(
          {i, (hopeless ? "data has " + std::to_string(data)
                        : "data and partition key have " + std::to_string(data + key)) +
                  " bytes, the limit is " + std::to_string(options_.record_bytes_max)});
    } else {
      order_.push_back(i);
    }
  }
}

// What a message alone takes in a record.
std::size_t Plan::data_bytes(Bytes payload) const {
  if (options_.aggregation == Aggregation::kKpl && looks_aggregated(payload)) {
    return AggregateSize(keys_.bytes_max()).with(payload.size());
  }
  const std::size_t lines = options_.aggregation == Aggregation::kLines ? 1 : 0;
  const std::size_t plain = payload.size() + lines;
  if (options_.compression == Compression::kNone) return plain;
  const std::size_t most = compressed_bytes_max(plain, options_.compression);
  if (static_cast<std::int64_t>(most) <= options_.record_bytes_max / 2) return most;
  const auto packed = compressed(payload, options_.compression);
  return packed ? packed->size() + lines : most;
}

void Plan::make_units() {
  if (!aggregates()) {
    units_.reserve(order_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) units_.push_back({i, 1});
    return;
  }
  // Messages of one key stand together, each group in stream order.
  std::map<std::string_view, std::vector<std::size_t>> groups;
  for (const std::size_t i : order_) groups[message_keys_[i]].push_back(i);
  order_.clear();
  for (const auto& [key, group] : groups) divide(key.size(), group);
  std::sort(units_.begin(), units_.end(), [this](const Unit& left, const Unit& right) {
    return order_[left.begin] < order_[right.begin];
  });
  for (const Unit& unit : units_) {
    if (!message_keys_[order_[unit.begin]].empty()) continue;
    std::string key;
    keys_.make(messages_[order_[unit.begin]], key);
    for (std::size_t i = 0; i < unit.count; ++i) message_keys_[order_[unit.begin + i]] = key;
  }
}

// Appends `group` to the order and divides it into units that are not too large.
void Plan::divide(std::size_t key_bytes, const std::vector<std::size_t>& group) {
  if (key_bytes == 0) key_bytes = keys_.bytes_max();
  const auto most = static_cast<std::size_t>(
      std::min(options_.aggregation_bytes_max,
               options_.record_bytes_max - static_cast<std::int64_t>(key_bytes)));
  const bool kpl = options_.aggregation == Aggregation::kKpl;
  AggregateSize container(key_bytes);
  std::size_t lines = 0;
  bool open = false;
  for (const std::size_t i : group) {
    const std::size_t bytes = messages_[i].payload.size();
    const std::size_t with =
        kpl ? container.with(bytes) : compressed_bytes_max(lines + bytes + 1, options_.compression);
    if (!open || with > most) {
      units_.push_back({order_.size(), 0});
      container = AggregateSize(key_bytes);
      lines = 0;
      open = true;
    }
    container.add(bytes);
    lines += bytes + 1;
    ++units_.back().count;
    order_.push_back(i);
  }
}

Plan::Built Plan::build(const Unit& unit) const {
  const std::string& key = message_keys_[order_[unit.begin]];
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

std::size_t Plan::fit(std::span<const Unit> units) {
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

std::vector<Record> Plan::records(std::size_t count) const {
  std::vector<Record> records;
  records.reserve(count);
  for (std::size_t i = 0; i < count; ++i) records.push_back(built_[i].record);
  return records;
}

// Ordering strict does not aggregate: the place of a message in the order makes no difference.
Record Plan::record_alone(std::size_t message) {
  Built built{{}, {messages_[message].payload, message_keys_[message]}};
  if (options_.compression != Compression::kNone) {
    if (auto packed = compressed(built.record.data, options_.compression)) {
      built.owned = std::move(*packed);
      built.record.data = built.owned.bytes();
    }
  }
  built_.clear();
  built_.push_back(std::move(built));
  return built_.front().record;
}

void Plan::make_first_call(std::string_view stream) {
  if (units_.empty()) return;
  first_.units = fit(units_);
  first_.body.clear();
  put_records_body(stream, records(first_.units), first_.body);
  first_.payload_hash = sha256_hex(first_.body.bytes());
  built_.clear();
  first_is_ready_ = true;
}

const Plan::Call* Plan::take_first_call() {
  return std::exchange(first_is_ready_, false) ? &first_ : nullptr;
}

}  // namespace weir::destination::kinesis
