#pragma once

#include "base/metrics.h"

/// What connectors count. docs/metrics.md lists all of these.
namespace weir::connector {

inline constexpr metrics::Descriptor kConnected{
    "weir_connector_connected", metrics::Type::kGauge, "connector",
    "1 while the connector is connected to its broker."};
inline constexpr metrics::Descriptor kConnectionsTotal{
    "weir_connector_connections_total", metrics::Type::kCounter, "connector,session",
    "Connections made to the broker; session is resumed or new: with a new one the broker has "
    "forgotten what it held for the connector, if anything."};
inline constexpr metrics::Descriptor kDisconnectionsTotal{"weir_connector_disconnections_total",
                                                          metrics::Type::kCounter, "connector",
                                                          "Connections lost, refused or not made."};
inline constexpr metrics::Descriptor kMessagesTotal{
    "weir_connector_messages_total", metrics::Type::kCounter, "connector,kind",
    "Messages received, by kind: first, again (the broker sends what was not acknowledged once "
    "more) or retained."};
inline constexpr metrics::Descriptor kRefusedMessagesTotal{
    "weir_connector_refused_messages_total", metrics::Type::kCounter, "connector,reason",
    "Messages that were answered with fail when they arrived and not stored. InvalidRequest: "
    "not_json, invalid_utf8, no_data, data_type, bad_arn, bad_id, id_too_long, empty, too_large, "
    "unknown_topic, too_many_targets. QueueFull: queue_records, queue_bytes, disk_full, "
    "too_many_streams."};
inline constexpr metrics::Descriptor kUnacknowledgedMessages{
    "weir_connector_unacknowledged_messages", metrics::Type::kGauge, "connector",
    "Messages received that the broker has not been told are safe yet."};
inline constexpr metrics::Descriptor kStoreRetriesTotal{
    "weir_connector_store_retries_total", metrics::Type::kCounter, "connector",
    "Records that could not be stored and are tried again before anything later; the broker is "
    "not told that they are safe."};
inline constexpr metrics::Descriptor kStoredRecordsTotal{"weir_connector_stored_records_total",
                                                         metrics::Type::kCounter, "connector,arn",
                                                         "Records put into their queue."};
inline constexpr metrics::Descriptor kRecordsTotal{
    "weir_connector_records_total", metrics::Type::kCounter, "connector,arn,result",
    "Records taken from their queue by result: delivered, failed (Firehose refused them for good "
    "and that was answered), requeued (put back at its end) or damaged (no record of a "
    "connector)."};
inline constexpr metrics::Descriptor kQueueRecords{"weir_connector_queue_records",
                                                   metrics::Type::kGauge, "connector,arn",
                                                   "Records that are not sent yet."};
inline constexpr metrics::Descriptor kQueueBytes{
    "weir_connector_queue_bytes", metrics::Type::kGauge, "connector,arn",
    "Stored bytes of records that are not sent yet, about."};
inline constexpr metrics::Descriptor kAnswersTotal{
    "weir_connector_answers_total", metrics::Type::kCounter, "connector,status",
    "Answers written down for the status topic: success or fail."};
inline constexpr metrics::Descriptor kLostAnswersTotal{
    "weir_connector_lost_answers_total", metrics::Type::kCounter, "connector,reason",
    "Answers that nobody will get: not_stored (the disk took none), refused (the broker will never "
    "take the message, counted by message). Answers removed because too many waited are in "
    "weir_exporter_export_lost_messages_total."};
inline constexpr metrics::Descriptor kPublishedMessagesTotal{
    "weir_connector_published_messages_total", metrics::Type::kCounter, "connector,result",
    "Messages published on the status topic by what the broker said: taken, no_subscriber, refused "
    "(by reason of a rule or limit; kept and tried again) or dropped (it can never take them)."};

}  // namespace weir::connector
