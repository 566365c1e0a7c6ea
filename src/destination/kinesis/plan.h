#pragma once

#include "base/byte_buffer.h"
#include "destination/kinesis/partition_key.h"
#include "destination/kinesis/request.h"
#include "destination/options.h"
#include "destination/split_delivery.h"
#include "exporter/destination.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination::kinesis {

inline constexpr std::int64_t kRecordsPerCallMax = 500;

/// What a delivery sends, worked out before the first call: partition keys, what can never fit, and
/// which messages share a record. If asked for, the first call is made ready down to the hash of
/// its body; most deliveries have no second one.
///
/// Lifetime: `options`, `keys` and the messages outlive their use. Threads: one at a time.
class Plan final : public exporter::Preparation {
 public:
  /// A message that can never be delivered.
  struct Refused {
    std::size_t message = 0;  ///< index in the batch
    std::string why;
  };

  Plan(const KinesisOptions& options, KeyMaker& keys) : options_(options), keys_(keys) {}

  /// Plans the delivery of `messages`; what was planned before is forgotten, its memory stays.
  void make(std::span<const exporter::Message> messages);
  /// Writes and hashes the body of the first call to `stream`.
  void make_first_call(std::string_view stream);

  [[nodiscard]] const std::vector<Refused>& refused() const { return refused_; }
  /// What can be sent, as indices in the batch; units refer to places in it.
  [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }
  [[nodiscard]] const std::vector<Unit>& units() const { return units_; }
  /// The partition key of a message, by its index in the batch.
  [[nodiscard]] const std::string& key(std::size_t message) const { return message_keys_[message]; }

  /// How many of `units` (not empty) fit into one call. Builds their records.
  std::size_t fit(std::span<const Unit> units);
  /// The first `count` records that `fit` built; valid until it is called again.
  [[nodiscard]] std::vector<Record> records(std::size_t count) const;
  /// The record of one message alone, for PutRecord; valid until `fit` or this is called again.
  [[nodiscard]] Record record_alone(std::size_t message);

  /// A call whose body is written and hashed.
  struct Call {
    std::size_t units = 0;  ///< the first ones of `units()`
    ByteBuffer body;
    std::string payload_hash;
  };
  /// The first call if it was made ready, once; then nullptr. Valid until `make`.
  [[nodiscard]] const Call* take_first_call();
  /// Units of the first call that was made ready and not taken; 0 if there is none.
  [[nodiscard]] std::size_t first_call_units() const { return first_is_ready_ ? first_.units : 0; }

 private:
  // A record as it is sent; `owned` holds its data unless that is a message as it is.
  struct Built {
    ByteBuffer owned;
    Record record;
  };

  [[nodiscard]] bool aggregates() const { return options_.aggregation != Aggregation::kNone; }
  [[nodiscard]] std::size_t data_bytes(Bytes payload) const;
  void make_keys();
  void make_units();
  void divide(std::size_t key_bytes, const std::vector<std::size_t>& group);
  [[nodiscard]] Built build(const Unit& unit) const;

  const KinesisOptions& options_;
  KeyMaker& keys_;
  std::span<const exporter::Message> messages_;
  std::vector<std::string> message_keys_;  // by index in the batch
  std::vector<Refused> refused_;
  std::vector<std::size_t> order_;
  std::vector<Unit> units_;
  std::vector<Built> built_;
  Call first_;
  bool first_is_ready_ = false;
};

}  // namespace weir::destination::kinesis
