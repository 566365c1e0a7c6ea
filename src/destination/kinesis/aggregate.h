#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"

#include <cstddef>
#include <span>
#include <string_view>

/// The container in which Kinesis client libraries expect several records in one (pipeline.md §6).
namespace weir::destination::kinesis {

/// True when a consumer would take `data` for a container: such a message is never sent as it is.
bool looks_aggregated(Bytes data);

/// How large a container becomes, record by record.
class AggregateSize {
 public:
  explicit AggregateSize(std::size_t key_bytes);
  [[nodiscard]] std::size_t with(std::size_t data_bytes) const;
  void add(std::size_t data_bytes) { bytes_ = with(data_bytes); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
};

/// The container of `records`, all under one partition key, which is also the key it is sent under:
/// then every record belongs to the shard it arrives at, whatever becomes of shards. Pure.
ByteBuffer aggregate(std::string_view key, std::span<const Bytes> records);

}  // namespace weir::destination::kinesis
