#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"

#include <span>
#include <string>
#include <string_view>

/// The bodies of Kinesis Data Streams requests (destinations.md §4), written as they will be sent:
/// no document is built in between.
namespace weir::destination::kinesis {

struct Record {
  Bytes data;
  std::string_view key;

  /// What the service counts against its limits.
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(data.size() + key.size());
  }
};

inline constexpr std::string_view kContentType = "application/x-amz-json-1.1";
inline constexpr std::string_view kPutRecords = "Kinesis_20131202.PutRecords";
inline constexpr std::string_view kPutRecord = "Kinesis_20131202.PutRecord";

/// Adds the body of PutRecords to `body`.
void put_records_body(std::string_view stream, std::span<const Record> records, ByteBuffer& body);

/// The body of PutRecord; `after` is the number the service gave to the record before it, or "".
ByteBuffer put_record_body(std::string_view stream, const Record& record, std::string_view after);

}  // namespace weir::destination::kinesis
