#pragma once

#include "base/result.h"
#include "cli/dead_letters.h"

#include <string>
#include <vector>

namespace weir::cli {

class Client;

/// Which dead letters are appended again, and where.
struct Replay {
  std::string from;  ///< the dead-letter stream
  std::vector<LetterRange> ranges;
  std::string to;               ///< empty: each to the stream that it came from
  std::string only_stream;      ///< empty: of all streams
  std::string only_identifier;  ///< empty: of all exports
};

/// Appends them one after the other, with a line on standard output for each. Letters that cannot
/// be appended because they or their stream are not there are gone past. Blocks, as long as it
/// takes. Errors: kNotFound (some were left out; the text counts them), or what ended it early,
/// with the command that goes on where it ended.
Result<void> replay_letters(Client& client, const Replay& replay);

}  // namespace weir::cli
