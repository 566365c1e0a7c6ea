#pragma once

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "destination/file/position.h"
#include "destination/options.h"
#include "exporter/destination.h"
#include "file/file_system.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace weir::destination::file_export {

/// Opens (and creates) a directory; `again` when one opened before seems to be gone.
using OpenDirectory = std::function<Result<std::shared_ptr<weir::file::FileSystem>>(bool again)>;

/// Appends batches to files in a directory, rolled by size and age.
///
/// A batch is delivered when its bytes and the position behind them are on stable storage. After a
/// crash the active file is cut back to the last delivered batch, so files hold whole batches in
/// order, always; a batch appears twice only if weir stopped between the delivery and the saving
/// of its cursor. A file that is old enough gets its final name also when no batch comes any more.
///
/// Files are opened for each delivery: ten thousand exports hold no ten thousand descriptors.
class FileDestination final : public exporter::Destination {
 public:
  struct Setup {
    std::string stream_name;
    std::string identifier;
    FileOptions options;
    OpenDirectory open;
  };

  /// Lifetime: `clock` and `metrics` outlive the destination. Nothing is opened yet.
  FileDestination(Setup setup, Clock& clock, metrics::Registry& metrics);

  [[nodiscard]] Limits limits() const override;
  exporter::Outcome deliver(const exporter::Batch& batch, std::stop_token stop) override;
  /// When the active file is old enough. At first at once: an earlier run may have left one.
  [[nodiscard]] Instant idle_deadline() const override;
  void on_idle(std::stop_token stop) override;
  [[nodiscard]] std::string host() const override { return {}; }

 private:
  Result<void> append(const exporter::Batch& batch);
  Result<void> recover();
  Result<void> recover_active(const Position& saved);
  Result<void> tidy_strays();
  Result<void> start_file(SequenceNumber first);
  Result<void> write(Bytes bytes);
  Result<void> repair();
  Result<void> finish_file();
  Result<void> finish_if_due();
  void look_again_if_gone(const Error& error);
  [[nodiscard]] bool due_to_roll() const;
  [[nodiscard]] std::string part() const;

  Setup setup_;
  const std::string prefix_;
  Clock& clock_;
  metrics::Registry& metrics_;
  std::shared_ptr<weir::file::FileSystem> files_;  // none until recovered
  std::optional<PositionStore> positions_;
  Position active_;  // what is certain; no file = none is open
  Instant opened_at_{};
  Instant first_look_at_;       // while nothing is recovered
  Instant retry_at_{};          // not before this after a visit that failed
  bool repair_needed_ = false;  // bytes beyond `active_` may be on disk
  bool gone_ = false;           // the directory vanished
};

/// Errors: kInvalidArgument (no directory, sizes and intervals below 1).
Result<void> validate(const FileOptions& options);

}  // namespace weir::destination::file_export
