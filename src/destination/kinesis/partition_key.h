#pragma once

#include "base/metrics.h"
#include "base/result.h"
#include "base/rng.h"
#include "destination/kinesis/json_field.h"
#include "destination/options.h"
#include "exporter/destination.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::destination::kinesis {

inline constexpr std::size_t kKeyCharactersMax = 256;  // of Unicode, by the service

/// Gives every message its partition key (docs/configuration.md, `partition_key`).
///
/// - random: a fresh UUID, which spreads load evenly;
/// - stream: the stream's name, so all of it goes to one shard in order;
/// - field: the string, number or boolean at a JSON pointer into the payload;
/// - template: text with {stream}, {sequence} and {/json/pointer}; {{ and }} stand for braces.
///
/// A payload without a usable value there is sent under the stream's name, and counted. Longer
/// keys are cut to 256 characters, so that equal values keep equal keys.
/// Threads: one at a time.
class KeyMaker {
 public:
  /// Errors: kInvalidArgument (not a JSON pointer, an unknown or unclosed placeholder).
  static Result<KeyMaker> create(const PartitionKey& options, std::string stream_name,
                                 std::uint64_t seed, metrics::Counter& fallbacks);

  /// A key of 1 to 256 characters of valid UTF-8.
  std::string make(const exporter::Message& message);
  /// The same into `key`, whose memory is used again.
  void make(const exporter::Message& message, std::string& key);

  /// No key is longer than this many bytes.
  [[nodiscard]] std::size_t bytes_max() const;

 private:
  struct Piece {
    enum class Kind : std::uint8_t { kText, kStream, kSequence, kPointer };
    Kind kind;
    std::string text;   // kText
    JsonField field{};  // kPointer
  };

  KeyMaker(PartitionKey::Kind kind, std::string stream_name, std::uint64_t seed,
           metrics::Counter& fallbacks);
  Result<void> add_pointer(const std::string& pointer);
  Result<void> read_template(const std::string& text);
  void uuid(std::string& text);

  PartitionKey::Kind kind_;
  std::string stream_name_;
  std::vector<Piece> pieces_;  // kField is one kPointer
  Rng rng_;
  metrics::Counter* fallbacks_;
};

}  // namespace weir::destination::kinesis
