#pragma once

#include "connector/arn.h"
#include "mqtt/client.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::connector {

/// How many delivery streams one connector keeps queues for, the default one included: each is a
/// stream on the disk.
inline constexpr std::size_t kTargetsMax = 64;
/// What Firehose takes as one record, before base64.
inline constexpr std::size_t kDataBytesMax = 1'024'000;
/// The longest id that a record may have.
inline constexpr std::size_t kIdBytesMax = 4'096;
/// The longest id that is told in a refusal; of a longer one only that it was too long.
inline constexpr std::size_t kIdToldBytesMax = 65'536;

/// Where a record goes that was failed in a way that is worth another try.
enum class QueueOrder : std::uint8_t {
  kTail,  ///< to the end of its queue, as documented
  kKeep,  ///< it is sent again before anything that came later
};

/// One Firehose connector, as configured.
struct Options {
  static constexpr std::int64_t kQueueBytesDefault = std::int64_t{256} << 20;
  static constexpr std::int64_t kMemoryQueueBytesDefault = std::int64_t{16} << 20;

  std::string name = "firehose";  ///< 1 to 32 of a-z A-Z 0-9 _ -
  mqtt::Options broker;
  std::string broker_url;  ///< for people
  int version = 5;         ///< of the connector whose messages are spoken: 1 to 5
  DeliveryStreamArn default_target;
  std::int64_t queue_records_max = 5'000;       ///< per delivery stream
  std::optional<std::int64_t> queue_bytes_max;  ///< per delivery stream
  std::int64_t publish_interval_s = 10;         ///< 0: each record at once, with PutRecord
  QueueOrder order = QueueOrder::kTail;
  bool memory_only = false;            ///< queues are lost when weir stops
  std::optional<bool> flush_on_write;  ///< on stable storage before the broker hears of it
  std::string message_topic = "kinesisfirehose/message";
  std::string binary_filter = "kinesisfirehose/message/binary/#";
  std::string status_topic = "kinesisfirehose/message/status";

  [[nodiscard]] bool one_by_one() const { return version == 1 || publish_interval_s == 0; }
  [[nodiscard]] std::int64_t queue_bytes_in_force() const {
    return queue_bytes_max.value_or(memory_only ? kMemoryQueueBytesDefault : kQueueBytesDefault);
  }
  /// Records that go out one by one would wait for the next sync of their stream, up to a second.
  [[nodiscard]] bool flush_in_force() const {
    return !memory_only && flush_on_write.value_or(one_by_one());
  }
  /// The filter without its '#': what stands before the id.
  [[nodiscard]] std::string_view binary_prefix() const {
    return std::string_view(binary_filter).substr(0, binary_filter.size() - 1);
  }
};

}  // namespace weir::connector
