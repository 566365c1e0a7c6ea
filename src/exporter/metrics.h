#pragma once

#include "base/metrics.h"

/// Figures of one export carry its stream, identifier and type and exist as long as the export
/// does. Sums over all exports of a type stay when streams are deleted.
namespace weir::exporter::metric {

using metrics::Descriptor;
using metrics::Type;

inline constexpr Descriptor kAttempts{
    "weir_exporter_attempts_total", Type::kCounter, "type,result",
    "Deliveries that ended, by result: delivered, partial, nothing, interrupted, superseded, "
    "needs_memory, or the class of the failure."};
inline constexpr Descriptor kDeliveredMessages{"weir_exporter_delivered_messages_total",
                                               Type::kCounter, "type",
                                               "Messages that destinations took."};
inline constexpr Descriptor kDeliveredBytes{"weir_exporter_delivered_bytes_total", Type::kCounter,
                                            "type", "Payload bytes of the messages they took."};
inline constexpr Descriptor kSkippedMessages{
    "weir_exporter_skipped_messages_total", Type::kCounter, "type,reason",
    "Messages that a destination refused for good and that were dropped, by class of refusal."};
inline constexpr Descriptor kLostMessages{
    "weir_exporter_lost_messages_total", Type::kCounter, "type,reason",
    "Messages that an export passed without sending them. Reason retention: the stream was full or "
    "they were too old; moved: a person moved the position beyond them."};
inline constexpr Descriptor kDeadLetters{
    "weir_exporter_dead_letters_total", Type::kCounter, "type",
    "Messages that a destination refused for good and that were kept in a dead-letter stream."};
inline constexpr Descriptor kMissingNumbers{
    "weir_exporter_missing_numbers_total", Type::kCounter, "type",
    "Sequence numbers without a message: lost to damage (the stream counts those) or left out "
    "after a power cut."};
inline constexpr Descriptor kCursorSaves{"weir_exporter_cursor_saves_total", Type::kCounter,
                                         "result", "Positions saved, by result: ok or failed."};
inline constexpr Descriptor kBusyWorkers{"weir_exporter_busy_workers", Type::kGauge, "",
                                         "Deliveries under way."};
inline constexpr Descriptor kBatchBytes{"weir_exporter_batch_reserved_bytes", Type::kGauge, "",
                                        "Memory set aside for the batches under way."};

// One per export, looked up at every scrape.
inline constexpr Descriptor kExportMessages{
    "weir_exporter_export_messages_total", Type::kCounter, "stream,export,type",
    "Messages this export is done with, skipped ones included; survives restarts."};
inline constexpr Descriptor kExportBytes{"weir_exporter_export_bytes_total", Type::kCounter,
                                         "stream,export,type",
                                         "Payload bytes it delivered; survives restarts."};
inline constexpr Descriptor kExportSkipped{"weir_exporter_export_skipped_messages_total",
                                           Type::kCounter, "stream,export,type",
                                           "Messages its destination refused for good and that "
                                           "were dropped."};
inline constexpr Descriptor kExportDeadLetters{
    "weir_exporter_export_dead_letters_total", Type::kCounter, "stream,export,type",
    "Messages its destination refused for good and that were kept as dead letters."};
inline constexpr Descriptor kExportLost{
    "weir_exporter_export_lost_messages_total", Type::kCounter, "stream,export,type",
    "Messages it passed without sending them: removed by retention, or moved past by a person."};
inline constexpr Descriptor kLagMessages{"weir_exporter_lag_messages", Type::kGauge,
                                         "stream,export,type",
                                         "Durable messages it has not delivered yet."};
inline constexpr Descriptor kLagBytes{"weir_exporter_lag_bytes", Type::kGauge, "stream,export,type",
                                      "Stored bytes it has not delivered yet."};
inline constexpr Descriptor kLagSeconds{
    "weir_exporter_lag_seconds", Type::kGauge, "stream,export,type",
    "Age of the oldest message it has not delivered; 0 if there is none or the age is unknown."};
inline constexpr Descriptor kState{"weir_exporter_state", Type::kGauge, "stream,export,type,state",
                                   "1 for the state the export is in."};
inline constexpr Descriptor kFailuresInARow{"weir_exporter_failures_in_a_row", Type::kGauge,
                                            "stream,export,type",
                                            "Failed attempts since the last success."};
inline constexpr Descriptor kBackoffSeconds{"weir_exporter_backoff_seconds", Type::kGauge,
                                            "stream,export,type", "Time until its next try."};
inline constexpr Descriptor kReadyAgeSeconds{
    "weir_exporter_ready_age_seconds", Type::kGauge, "stream,export,type",
    "How long it has been waiting for a worker; grows when exports of higher priority starve it."};

}  // namespace weir::exporter::metric
