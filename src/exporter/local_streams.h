#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace weir::exporter {

/// The other streams of this weir, as destinations may use them: to tell applications what became
/// of a task, or to set a message aside. Threads: any, all methods.
class LocalStreams {
 public:
  virtual ~LocalStreams() = default;

  /// Appends one message (at least 1 B) as a client would; answered when it is as durable as the
  /// stream's definition demands. Errors: kNotFound, kFull, kIo; kCancelled when `stop` came first
  /// or weir stops: then nobody knows whether it was appended. Blocks: until then.
  virtual Result<SequenceNumber> append(const std::string& stream, Bytes payload,
                                        const std::stop_token& stop) = 0;

  /// The number that the next message will get. Errors: kNotFound.
  virtual Result<SequenceNumber> end(const std::string& stream) = 0;

  /// Shows the messages from `from` on, in order, until `visit` returns false. Errors: kNotFound,
  /// kIo, kCorrupt. Blocks: on disk.
  virtual Result<void> read(const std::string& stream, SequenceNumber from,
                            const std::function<bool(Bytes payload)>& visit) = 0;

  /// How long messages of a stream are wanted; none if it has no limit or does not exist.
  virtual std::optional<std::int64_t> time_to_live_ms(const std::string& stream) = 0;
};

}  // namespace weir::exporter
