#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

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

/// True if `message` begins as a dead letter does. Pure.
bool is_dead_letter(Bytes message);

/// True if `message` is a dead letter about a message of `stream`, or about such a letter: kept in
/// `stream` it could go round without an end. Letters in letters are followed some way; what is
/// deeper counts as going round. Pure.
bool comes_from(Bytes message, std::string_view stream);

struct KeptLetters {
  std::size_t count = 0;  ///< so many, from the first on, are durable
  Result<void> outcome;   ///< why not all
};

/// Where dead letters are kept. Threads: any.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;
  /// Appends the letters in order to `stream`, which is created if it is missing; durable on
  /// return. Errors: kFull, kIo, kUnavailable; kCancelled when `stop` came first: more of them may
  /// be there all the same. Blocks: until then.
  virtual KeptLetters keep(const std::string& stream, std::span<const DeadLetter> letters,
                           const std::stop_token& stop) = 0;
};

}  // namespace weir::exporter
