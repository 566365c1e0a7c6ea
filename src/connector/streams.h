#pragma once

#include "connector/arn.h"
#include "connector/options.h"
#include "model/definition.h"

#include <optional>
#include <string>
#include <string_view>

/// Which streams belong to a connector, and what their exports are.
namespace weir::connector {

/// What a stream is for its connector.
struct StreamRole {
  enum class Kind : std::uint8_t { kQueue, kAnswers };
  Kind kind = Kind::kQueue;
  std::string connector;
  bool memory = false;
  DeliveryStreamArn target;  ///< kQueue
};

/// `firehose-queue.<connector>.<partition>.<region>.<account>.<delivery stream>`, or
/// `firehose-memory. ...` for one in memory: names tell everything, so that what is found on the
/// disk after a restart goes on draining without a list of its own.
std::string queue_stream_name(const std::string& connector, bool memory,
                              const DeliveryStreamArn& target);
/// `firehose-answers.<connector>`.
std::string answers_stream_name(const std::string& connector);
/// None: it is no connector's. Pure.
std::optional<StreamRole> role_of_stream(std::string_view name);

/// A queue: as large as it may become, plus what was sent and not yet removed, so that making room
/// never removes what was not sent.
model::StreamDefinition queue_definition(const Options& options, const DeliveryStreamArn& target);
/// Answers that wait for the broker; the oldest go when there are too many.
model::StreamDefinition answers_definition(const Options& options);

/// Names of the two exports, as `weir status` shows them.
inline constexpr const char* kQueueExport = "firehose";
inline constexpr const char* kAnswersExport = "answers";

/// The export of a stream with this role.
model::ExportConfig export_of(const Options& options, const StreamRole& role);

}  // namespace weir::connector
