#pragma once

#include "cli/command_table.h"
#include "protocol/messages.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

/// `dlq ls | show | replay`.
CommandTable dead_letter_commands();

}  // namespace weir::cli
