#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/result.h"
#include "model/definition.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace weir::stream {
class Catalog;
class Stream;
}  // namespace weir::stream

namespace weir::connector {

/// Hears what became of appends, on the core thread.
class AppendOwner {
 public:
  virtual ~AppendOwner() = default;
  /// `tag` is what `stage` was given.
  virtual void appended(std::uint64_t tag, const Result<SequenceNumber>& outcome) = 0;
};

/// Appends of all connectors and of dead letters: the core thread's, which collects and never
/// waits, and those of workers, which do. The catalog has one sink for outcomes, so somebody above
/// tells tokens apart: these have `lane` in their lower half.
///
/// Threads: core, except `append_all` and `append_in_order`. Lifetime: `core` outlives it, and it
/// outlives everything that waits in those two.
class Appends {
 public:
  Appends(Executor& core, std::uint32_t lane) : core_(core), lane_(lane) {}

  /// Before the core thread runs.
  void serve(stream::Catalog& catalog) { catalog_ = &catalog; }
  /// The catalog closes: nothing is appended any more.
  void close() { catalog_ = nullptr; }
  /// Null once it closed.
  [[nodiscard]] stream::Catalog* catalog() { return catalog_; }

  /// See `Catalog::append`; `payload` stays valid until `commit`. Requires: `catalog()`.
  void stage(stream::Stream& stream, Bytes payload, AppendOwner& owner, std::uint64_t tag);
  void commit();
  /// See `Catalog::flush`. Not from an outcome.
  void flush(StreamId stream, AppendOwner& owner, std::uint64_t tag);
  /// The outcome of an append with a token of this lane; `upper` is the token's other half.
  void append_done(std::uint32_t upper, const Result<SequenceNumber>& outcome);

  /// Calls `done` with the stream of this definition, which is made if there is none; at once if
  /// there is one. Errors: kCancelled (weir stops), kFull and others as `Catalog::create`.
  void open(const model::StreamDefinition& definition,
            std::function<void(Result<stream::Stream*>)> done);

  /// How much of what was to be appended is on stable storage, or in memory where the stream is.
  struct Stored {
    std::size_t count = 0;  ///< so many, from the first on
    Result<void> outcome;   ///< why not all
  };
  /// Appends `payloads` (none empty) in order to the stream of this definition and has them synced,
  /// also where the stream does not flush on write. Where one is refused, none behind it is
  /// appended, as far as that can be known before; but a failure of the disk may have left more
  /// than `count` of them there. Once `stop` is requested it still waits a moment, so that an
  /// orderly stop leaves nothing in doubt. Errors: kFull, kIo, kUnavailable, kCancelled. Threads:
  /// any but core. Blocks: on the core thread and on disk.
  Stored append_in_order(const model::StreamDefinition& definition,
                         std::vector<ByteVector> payloads, const std::stop_token& stop);
  /// The same where only all of them will do.
  Result<void> append_all(const model::StreamDefinition& definition,
                          std::vector<ByteVector> payloads, const std::stop_token& stop) {
    return append_in_order(definition, std::move(payloads), stop).outcome;
  }

 private:
  struct Waiting {
    AppendOwner* owner = nullptr;
    std::uint64_t tag = 0;
  };
  class Batch;
  std::uint64_t token_for(AppendOwner& owner, std::uint64_t tag);

  Executor& core_;
  const std::uint32_t lane_;
  stream::Catalog* catalog_ = nullptr;
  std::vector<Waiting> waiting_;      // by upper half of the token
  std::vector<std::uint32_t> spare_;  // places in it that are free
};

}  // namespace weir::connector
