#pragma once

#include "base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Answers of Kinesis Data Streams, believed only when they are whole and make sense.
namespace weir::destination::kinesis {

struct FailedRecord {
  std::size_t index = 0;  ///< in the request
  std::string code;
  std::string message;
};

/// Reads the answer to PutRecords with `record_count` records: which of them failed, ascending.
/// Judged by the presence of ErrorCode, not by the count the service states.
///
/// Errors: kCorrupt when it is not JSON to the last byte, has another number of results, or a
/// result is neither a success nor a failure: then nothing is known of any record. Pure.
Result<std::vector<FailedRecord>> read_put_records(std::string_view body, std::size_t record_count);

/// Reads the answer to PutRecord: the number the service gave. Errors: kCorrupt. Pure.
Result<std::string> read_put_record(std::string_view body);

/// The zero-based index in a text such as "Value ... at 'records.97.member.data' failed to
/// satisfy constraint" (there it counts from 1), if it names one below `record_count`. Pure.
std::optional<std::size_t> blamed_record(std::string_view message, std::size_t record_count);

}  // namespace weir::destination::kinesis
