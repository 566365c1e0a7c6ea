#pragma once

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "exporter/destination.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Bodies and answers of AWS IoT Analytics (destinations.md §7).
namespace weir::destination::iot_analytics {

struct AnalyticsMessage {
  std::string id;
  Bytes payload;
};

/// The body of BatchPutMessage.
ByteBuffer batch_put_body(std::string_view channel, std::span<const AnalyticsMessage> messages);

struct FailedMessage {
  std::string id;
  std::string code;
  std::string text;
};

/// Reads the answer to BatchPutMessage: which messages failed.
/// Errors: kCorrupt when it is not such an answer to the last byte: then nothing is known. Pure.
Result<std::vector<FailedMessage>> read_batch_put(std::string_view body);

/// What is to be done about a message. Pure.
exporter::RecordOutcome outcome_of(const FailedMessage& message);

}  // namespace weir::destination::iot_analytics
