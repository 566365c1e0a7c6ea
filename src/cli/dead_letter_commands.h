#pragma once

#include "protocol/messages.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace weir::cli {

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

/// `weir dlq ls | show | replay`.
void add_dead_letter_commands(CLI::App& app, int& status);

}  // namespace weir::cli
