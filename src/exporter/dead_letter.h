#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

#include <cstdint>
#include <stop_token>
#include <string>

namespace weir::exporter {

/// A message that a destination refused for good, and where it came from.
struct DeadLetter {
  std::string stream;
  std::string identifier;  ///< of the export
  std::string type;        ///< of the export
  SequenceNumber sequence;
  std::int64_t append_ms = 0;   ///< wall clock
  std::int64_t refused_ms = 0;  ///< wall clock
  std::string reason;           ///< what the destination said, escaped
  Bytes payload;
};

/// The message of a dead-letter stream (docs/concepts.md): one line of JSON, then the payload as it
/// was. Base64 inside JSON would make every payload a third larger and unreadable; a binary header
/// could not be read without weir.
ByteVector encode_dead_letter(const DeadLetter& letter);

/// Where dead letters are kept. Threads: any.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  /// Appends the letter to `stream`, which is created if it is missing; durable on return. Errors:
  /// kFull, kIo, kUnavailable; kCancelled when `stop` came first: it may be there all the same.
  /// Blocks: until then.
  virtual Result<void> keep(const std::string& stream, const DeadLetter& letter,
                            const std::stop_token& stop) = 0;
};

}  // namespace weir::exporter
