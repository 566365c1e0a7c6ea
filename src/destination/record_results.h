#pragma once

#include "base/result.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Answers in which each record of a call has a result of its own (Kinesis Data Streams, Firehose),
/// believed only when they are whole and make sense.
namespace weir::destination {

/// A record of a call that was not taken although others were.
struct FailedRecord {
  std::size_t index = 0;  ///< in the request
  std::string code;
  std::string message;
};

/// How one service writes such an answer.
struct RecordResults {
  std::string_view list;     ///< the member that has the results, in the order of the request
  std::string_view success;  ///< the member that a result without ErrorCode has, a text
  std::string_view service;  ///< its name in errors
};

/// Reads the answer to a call with `record_count` records: which of them failed, ascending. Judged
/// by the presence of ErrorCode, not by the count the service states.
///
/// Errors: kCorrupt when it is not JSON to the last byte, has another number of results, or a
/// result is neither a success nor a failure: then nothing is known of any record. Pure.
Result<std::vector<FailedRecord>> read_record_results(std::string_view body,
                                                      const RecordResults& format,
                                                      std::size_t record_count);

/// The error for a body that is no answer of `service`.
Error no_answer_of(std::string_view service);

}  // namespace weir::destination
