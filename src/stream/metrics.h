#pragma once

#include "base/metrics.h"

/// Metrics of the folder; docs/metrics.md lists all.
namespace weir::stream::metric {

using metrics::Descriptor;
using metrics::Type;

inline constexpr Descriptor kAppendedMessages{"weir_stream_appended_messages_total", Type::kCounter,
                                              "stream",
                                              "Messages appended since the stream was opened."};
inline constexpr Descriptor kAppendedBytes{"weir_stream_appended_bytes_total", Type::kCounter,
                                           "stream",
                                           "Payload bytes appended since the stream was opened."};
inline constexpr Descriptor kStoreAppendedBytes{
    "weir_stream_store_appended_bytes_total", Type::kCounter, "",
    "Payload bytes appended to all streams together, those deleted since included."};
inline constexpr Descriptor kRejectedMessages{
    "weir_stream_rejected_messages_total", Type::kCounter, "reason",
    "Appends refused. Reasons: full, too_large, disk, low_space, fault, busy."};
inline constexpr Descriptor kLostMessages{
    "weir_stream_lost_messages_total", Type::kCounter, "reason",
    "Stored messages that became unreadable. Reasons: damage, sync_failed."};
inline constexpr Descriptor kRemovedMessages{
    "weir_stream_removed_messages_total", Type::kCounter, "reason",
    "Messages removed by retention. Reasons: full, ttl, low_space."};
inline constexpr Descriptor kSyncs{
    "weir_stream_syncs_total", Type::kCounter, "where",
    "Waits for the disk: one fdatasync, or one sync of the whole file system for "
    "many streams. Where: inline (core thread), syncer."};
inline constexpr Descriptor kSyncSeconds{"weir_stream_sync_seconds_total", Type::kCounter, "",
                                         "Time spent in them; divide by weir_stream_syncs_total."};
inline constexpr Descriptor kSyncFailures{"weir_stream_sync_failures_total", Type::kCounter, "",
                                          "fdatasync calls that failed."};
inline constexpr Descriptor kSlowWrites{"weir_stream_slow_writes_total", Type::kCounter, "",
                                        "Writes that took longer than store.slow_write_ms."};
inline constexpr Descriptor kUnsyncedAge{
    "weir_stream_unsynced_age_seconds", Type::kGauge, "",
    "Age of the oldest acknowledged byte that is not on stable storage."};
inline constexpr Descriptor kStreams{"weir_stream_streams", Type::kGauge, "", "Streams."};
inline constexpr Descriptor kUnreadableStreams{
    "weir_stream_unreadable_streams", Type::kGauge, "",
    "Stream directories whose definition is unreadable; they are kept and not served."};
inline constexpr Descriptor kOpenFiles{"weir_stream_open_files", Type::kGauge, "",
                                       "Segment files held open."};
inline constexpr Descriptor kQuarantinedBytes{
    "weir_stream_quarantined_bytes_total", Type::kCounter, "",
    "Damaged bytes that were set aside in the store's quarantine directory."};
inline constexpr Descriptor kFreeBytes{"weir_stream_disk_free_bytes", Type::kGauge, "",
                                       "Free bytes on the store's file system when last looked."};
inline constexpr Descriptor kLowSpace{
    "weir_stream_low_space", Type::kGauge, "",
    "1 while appends are refused because the disk is nearly full, else 0."};
inline constexpr Descriptor kStoredBytes{"weir_stream_stored_bytes", Type::kGauge, "stream",
                                         "Stored bytes, overhead included."};
inline constexpr Descriptor kOldestNumber{"weir_stream_oldest_sequence_number", Type::kGauge,
                                          "stream", "Number of the oldest stored message."};
inline constexpr Descriptor kNextNumber{"weir_stream_next_sequence_number", Type::kGauge, "stream",
                                        "Number behind the newest visible message."};
inline constexpr Descriptor kSegments{"weir_stream_segments", Type::kGauge, "stream",
                                      "Segment files of the stream."};

}  // namespace weir::stream::metric
