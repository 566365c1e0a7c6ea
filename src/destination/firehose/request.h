#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "destination/aws_error.h"
#include "destination/record_results.h"
#include "exporter/destination.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Bodies and answers of Amazon Data Firehose (destinations.md §5).
namespace weir::destination::firehose {

inline constexpr std::string_view kContentType = "application/x-amz-json-1.1";
inline constexpr std::string_view kPutRecordBatch = "Firehose_20150804.PutRecordBatch";
inline constexpr std::string_view kPutRecord = "Firehose_20150804.PutRecord";

/// The body of PutRecordBatch.
ByteBuffer put_record_batch_body(std::string_view stream, std::span<const Bytes> records);
/// The body of PutRecord.
ByteBuffer put_record_body(std::string_view stream, Bytes record);

/// Reads the answer to PutRecordBatch: `read_record_results`.
Result<std::vector<FailedRecord>> read_put_record_batch(std::string_view body,
                                                        std::size_t record_count);
/// Reads the answer to PutRecord. Errors: kCorrupt. Pure.
Result<void> read_put_record(std::string_view body);

/// The ids that the service gave to the records of a call, in the order of the request, empty for
/// those it failed; from an answer to either call that the functions above have read. Pure.
std::vector<std::string> read_record_ids(std::string_view body, std::size_t record_count);

/// The refusal says that the delivery stream takes no records from anybody like us, or that its
/// name is none: whatever is in the records, they are not at fault. Pure.
bool blames_the_stream(std::string_view code, std::string_view message);

/// The class of a code of a call or a single record. Pure.
exporter::FailureClass classify(std::string_view code, std::string_view message);

/// `read_aws_error` with the classes of this service, for `AwsService`.
AwsError read_error(const HttpResponse& response);

}  // namespace weir::destination::firehose
