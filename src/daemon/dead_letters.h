#pragma once

#include "connector/appends.h"
#include "daemon/config.h"
#include "exporter/dead_letter.h"

#include <span>
#include <stop_token>
#include <string>

namespace weir::daemon {

/// Dead letters in streams of this weir. A stream that is missing is created: 256 MiB, the oldest
/// go when it is full, flushed on write. One that exists is used as it is; where it does not flush
/// on write it is synced for the letters.
///
/// Threads: any but core. Lifetime: `appends` outlives it.
class DeadLetterStreams final : public exporter::DeadLetters {
 public:
  explicit DeadLetterStreams(connector::Appends& appends) : appends_(appends) {}

  exporter::KeptLetters keep(const std::string& stream,
                             std::span<const exporter::DeadLetter> letters,
                             const std::stop_token& stop) override;

 private:
  connector::Appends& appends_;
};

/// `factory` with each export's poison policy, as `lookup` says, in front of its destinations.
exporter::DestinationFactory with_poison_policies(exporter::DestinationFactory factory,
                                                  destination::OptionsLookup lookup,
                                                  exporter::DeadLetters& letters, Clock& clock);

}  // namespace weir::daemon
