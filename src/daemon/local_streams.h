#pragma once

#include "base/executor.h"
#include "base/mutex.h"
#include "exporter/local_streams.h"
#include "stream/catalog.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace weir::daemon {

/// The catalog as destinations may use it. Stands between the catalog and the server as the
/// `AppendSink`, because both have appends under way: tokens whose lower half is all ones are its
/// own, and the server never has so many appends at once that it would use them.
///
/// Threads: `LocalStreams` any; the rest the core thread. Bounded: one append for each worker.
class CatalogStreams final : public exporter::LocalStreams, public stream::AppendSink {
 public:
  CatalogStreams(Executor& core, stream::AppendSink& clients) : core_(core), clients_(clients) {}

  /// Before the core thread runs.
  void serve(stream::Catalog& catalog) { catalog_ = &catalog; }
  /// The catalog closes: nothing is appended any more.
  void close() { catalog_ = nullptr; }
  void stream_changed(const stream::Stream& stream);
  void stream_removed(const std::string& name);

  /// From now on outcomes of tokens whose lower half is `lower`, from `kFirstLane` on but not all
  /// ones, go to `done` with the upper half. Before the core thread runs.
  static constexpr std::uint32_t kFirstLane = 0xFFFFFF00;
  using Lane = std::function<void(std::uint32_t upper, const Result<SequenceNumber>& outcome)>;
  void add_lane(std::uint32_t lower, Lane done) { lanes_[lower] = std::move(done); }

  void append_done(std::uint64_t token, const Result<SequenceNumber>& outcome) override;

  Result<SequenceNumber> append(const std::string& stream, Bytes payload,
                                const std::stop_token& stop) override;
  Result<SequenceNumber> end(const std::string& stream) override;
  Result<void> read(const std::string& stream, SequenceNumber from,
                    const std::function<bool(Bytes payload)>& visit) override;
  std::optional<std::int64_t> time_to_live_ms(const std::string& stream) override;

 private:
  struct Append;
  struct Known {
    std::shared_ptr<stream::LogReader> log;
    std::optional<std::int64_t> time_to_live_ms;
  };
  void start(const std::shared_ptr<Append>& append);
  Result<std::shared_ptr<stream::LogReader>> log_of(const std::string& stream);

  Executor& core_;
  stream::AppendSink& clients_;
  stream::Catalog* catalog_ = nullptr;
  std::unordered_map<std::uint32_t, Lane> lanes_;
  std::uint64_t last_number_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<Append>> under_way_;

  Mutex mutex_;
  std::map<std::string, Known> known_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::daemon
