#pragma once

#include "base/metrics.h"

/// What destinations count. `destination` is the service or type of export: kinesis,
/// firehose, iotsitewise, iotanalytics, http, file.
namespace weir::destination {

inline constexpr metrics::Descriptor kRequestsTotal = {
    "weir_destination_requests_total", metrics::Type::kCounter, "destination,result",
    "Requests sent to destinations by what became of them: ok, or the class of the failure."};
inline constexpr metrics::Descriptor kSentBytesTotal = {
    "weir_destination_sent_bytes_total", metrics::Type::kCounter, "destination",
    "Bytes of request bodies (for files: bytes written) of answered and unanswered tries."};
inline constexpr metrics::Descriptor kRejectedMessagesTotal = {
    "weir_destination_rejected_messages_total", metrics::Type::kCounter, "destination,reason",
    "Messages that a destination can never accept. Not sent at all: too_large, malformed (no entry "
    "for the service), out_of_range (values too old or ahead of time). refused: by the "
    "destination, when it was alone in a request."};
inline constexpr metrics::Descriptor kPartitionKeyFallbackTotal = {
    "weir_destination_partition_key_fallback_messages_total", metrics::Type::kCounter,
    "destination",
    "Messages sent with the stream's name as partition key because the payload has no usable "
    "value at the configured JSON pointer."};
inline constexpr metrics::Descriptor kEscapedMessagesTotal = {
    "weir_destination_file_escaped_messages_total", metrics::Type::kCounter, "",
    "Messages that are not JSON and contain line feeds, which became \\n in a newline-delimited "
    "file."};
inline constexpr metrics::Descriptor kFinishedFilesTotal = {
    "weir_destination_finished_files_total", metrics::Type::kCounter, "",
    "Output files that were closed and given their final name."};
inline constexpr metrics::Descriptor kS3TasksTotal = {
    "weir_destination_s3_tasks_total", metrics::Type::kCounter, "result",
    "Tasks of S3 exports that ended: success, failure or canceled."};
inline constexpr metrics::Descriptor kS3PartsTotal = {"weir_destination_s3_parts_total",
                                                      metrics::Type::kCounter, "",
                                                      "Parts of files that were stored in S3."};
inline constexpr metrics::Descriptor kDroppedStatusesTotal = {
    "weir_destination_s3_dropped_statuses_total", metrics::Type::kCounter, "reason",
    "Statuses of S3 tasks that could not be appended to their status stream: no_stream, full or "
    "error."};
inline constexpr metrics::Descriptor kClockOffsetMs = {
    "weir_destination_clock_offset_ms", metrics::Type::kGauge, "destination",
    "How far the destination's clock is ahead of ours, as last adopted for signing."};
inline constexpr metrics::Descriptor kCredentialRefreshesTotal = {
    "weir_destination_credential_refreshes_total", metrics::Type::kCounter, "role,result",
    "Questions to a source of AWS credentials by result: ok or failed. role is the ARN of an "
    "assumed role, empty for weir's own credentials."};
inline constexpr metrics::Descriptor kCredentialExpirySeconds = {
    "weir_destination_credential_expiry_timestamp_seconds", metrics::Type::kGauge, "role",
    "When the AWS credentials in use expire, in seconds since 1970; 0 = never."};

}  // namespace weir::destination
