#pragma once

#include "base/result.h"
#include "protocol/messages.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace weir::cli {

class Client;

/// What stands in the first line of a dead letter (docs/concepts.md), and the payload behind it.
struct DeadLetterView {
  std::string stream;
  std::string identifier;  ///< of the export
  std::string reason;
  std::int64_t sequence_number = 0;
  std::int64_t refused_ms = 0;
  Bytes payload;  ///< points into what was read
};

/// None if the message is no dead letter.
std::optional<DeadLetterView> read_dead_letter(Bytes message);

/// Letters by their numbers in the dead-letter stream, both ends included.
struct LetterRange {
  std::int64_t first = 0;
  std::int64_t last = std::numeric_limits<std::int64_t>::max();
  [[nodiscard]] bool single() const { return first == last; }
};

/// "3", "3-7", or "3-" for all from 3 on.
std::optional<LetterRange> parse_letter_range(std::string_view word);
/// The same the other way round.
std::string text_of(const LetterRange& range);

/// The dead letters of one stream that were there when it was opened. Threads: one.
class DeadLetters {
 public:
  /// One letter with the message that holds it. Its error ends the reading.
  using Visit = std::function<Result<void>(const protocol::StoredMessage&, const DeadLetterView&)>;

  /// `client` must outlive it. Errors: kNotFound (no such stream).
  static Result<DeadLetters> open(Client& client, std::string stream);

  /// Those of a range, in order. Messages that are no letters are counted and left out.
  Result<void> read(LetterRange range, const Visit& visit);
  /// A single one. Errors: kNotFound (there is none with this number; the text says which there
  /// are), kInvalidArgument (the message is no dead letter), those of `visit`.
  Result<void> read_one(std::int64_t number, const Visit& visit);

  /// How many messages `range` has at most.
  [[nodiscard]] std::int64_t count(LetterRange range) const;
  /// Says on standard error how many messages were left out, if any.
  void note_strays() const;

 private:
  DeadLetters(Client& client, std::string stream, std::int64_t oldest, std::int64_t newest)
      : client_(&client), stream_(std::move(stream)), oldest_(oldest), newest_(newest) {}
  [[nodiscard]] LetterRange there_of(LetterRange range) const;

  Client* client_;
  std::string stream_;
  std::int64_t oldest_;
  std::int64_t newest_;  // below oldest_ if there are none
  std::int64_t strays_ = 0;
};

}  // namespace weir::cli
