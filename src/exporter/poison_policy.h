#pragma once

#include "base/clock.h"
#include "exporter/dead_letter.h"
#include "exporter/destination.h"

#include <cstdint>
#include <memory>
#include <string>

namespace weir::exporter {

/// What becomes of a message that a destination refuses for good (destinations.md §3).
struct PoisonPolicy {
  enum class Action : std::uint8_t {
    kDrop,
    kDeadLetter,  ///< kept in `stream`
    kBlock,       ///< never skipped: the export waits until a person has acted
  };
  Action action = Action::kDrop;
  std::string stream;
};

/// The destination with a policy in front of it. With kDeadLetter a message counts as refused only
/// once its dead letter is durable, so the position cannot pass it before. The letters of a batch
/// are kept together and in order; where one cannot be kept, those before it are not written again.
/// Two letters of one message are left by a crash in between, and perhaps by a disk that fails.
/// A letter that would come back to where its message is from is refused without another letter.
///
/// Lifetime: `letters` (not null for kDeadLetter) and `clock` outlive the destination. Its
/// `deliver` may block on the disk too. Errors: kInvalidArgument (a stream that would be its own
/// dead-letter stream).
Result<std::unique_ptr<Destination>> with_poison_policy(std::unique_ptr<Destination> destination,
                                                        PoisonPolicy policy, const ExportSpec& spec,
                                                        DeadLetters* letters, Clock& clock);

}  // namespace weir::exporter
