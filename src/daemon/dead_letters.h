#pragma once

#include "base/executor.h"
#include "daemon/config.h"
#include "exporter/dead_letter.h"
#include "exporter/local_streams.h"
#include "stream/catalog.h"

#include <memory>
#include <stop_token>
#include <string>

namespace weir::daemon {

/// Dead letters in streams of this weir. A stream that is missing is created: 256 MiB, the oldest
/// go when it is full, each letter is flushed. One that exists is used as it is; of one that
/// does not flush on write the next sync is waited for.
///
/// Threads: `keep` any; the rest the core thread. Lifetime: what is passed outlives it.
class DeadLetterStreams final : public exporter::DeadLetters {
 public:
  DeadLetterStreams(Executor& core, Clock& clock, exporter::LocalStreams& streams)
      : core_(core), clock_(clock), streams_(streams) {}

  /// Before the core thread runs.
  void serve(stream::Catalog& catalog) { catalog_ = &catalog; }
  /// The catalog closes.
  void close() { catalog_ = nullptr; }

  Result<void> keep(const std::string& stream, const exporter::DeadLetter& letter,
                    const std::stop_token& stop) override;

 private:
  struct Opening;
  Result<std::shared_ptr<stream::LogReader>> open(const std::string& stream,
                                                  const std::stop_token& stop);
  void start_opening(const std::shared_ptr<Opening>& opening);

  Executor& core_;
  Clock& clock_;
  exporter::LocalStreams& streams_;
  stream::Catalog* catalog_ = nullptr;
};

/// `factory` with each export's poison policy, as `lookup` says, in front of its destinations.
exporter::DestinationFactory with_poison_policies(exporter::DestinationFactory factory,
                                                  destination::OptionsLookup lookup,
                                                  exporter::DeadLetters& letters, Clock& clock);

}  // namespace weir::daemon
