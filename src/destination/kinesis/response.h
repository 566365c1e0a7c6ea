#pragma once

#include "base/result.h"
#include "destination/record_results.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Answers of Kinesis Data Streams, believed only when they are whole and make sense.
namespace weir::destination::kinesis {

/// Reads the answer to PutRecords: `read_record_results`.
Result<std::vector<FailedRecord>> read_put_records(std::string_view body, std::size_t record_count);

/// Reads the answer to PutRecord: the number the service gave. Errors: kCorrupt. Pure.
Result<std::string> read_put_record(std::string_view body);

/// The zero-based index in a text such as "Value ... at 'records.97.member.data' failed to
/// satisfy constraint" (there it counts from 1), if it names one below `record_count`. Pure.
std::optional<std::size_t> blamed_record(std::string_view message, std::size_t record_count);

}  // namespace weir::destination::kinesis
