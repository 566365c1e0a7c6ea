#include "destination/file/destination.h"

#include "base/log.h"
#include "destination/file/encode.h"
#include "destination/file/names.h"
#include "destination/metrics.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace weir::destination::file_export {
namespace {

using exporter::FailureClass;
using exporter::Outcome;
using weir::file::OpenMode;

constexpr std::int64_t kMessagesMax = 10'000;
constexpr std::int64_t kBatchBytesMax = 4 << 20;
constexpr std::int64_t kMessageOverheadBytes = 4;
constexpr int kNameTriesMax = 1000;
// An idle file that cannot be finished is tried again this much later; the next batch tries anyway.
constexpr Duration kIdleRetry = std::chrono::seconds(30);

Result<bool> exists(weir::file::FileSystem& files, const std::string& name) {
  const auto file = files.open(name, OpenMode::kRead);
  if (file) return true;
  if (file.error().code == Errc::kNotFound) return false;
  return fail(file.error());
}

}  // namespace

Result<void> validate(const FileOptions& options) {
  if (options.directory.empty()) {
    return fail(Errc::kInvalidArgument, "a file export needs a directory to write to");
  }
  if (options.roll_bytes < 1 || options.roll_interval_ms < 1) {
    return fail(Errc::kInvalidArgument,
                "roll_bytes and roll_interval_ms of a file export must be at least 1");
  }
  return {};
}

FileDestination::FileDestination(Setup setup, Clock& clock, metrics::Registry& metrics)
    : setup_(std::move(setup)),
      prefix_(file_prefix(setup_.stream_name, setup_.identifier)),
      clock_(clock),
      metrics_(metrics),
      first_look_at_(clock.now()) {}

exporter::Destination::Limits FileDestination::limits() const {
  return {kMessagesMax, kBatchBytesMax, kMessageOverheadBytes};
}

std::string FileDestination::part() const { return active_.file + std::string(kPartSuffix); }

Outcome FileDestination::deliver(const exporter::Batch& batch, std::stop_token) {
  const auto done = append(batch);
  metrics_.counter(kRequestsTotal, {"file", done ? "ok" : "transient"}).add();
  if (done) return Outcome::delivered();
  look_again_if_gone(done.error());
  std::string text = "write to " + setup_.options.directory + ": " + done.error().what;
  if (done.error().os_errno == ENOSPC || done.error().os_errno == EDQUOT) {
    text += "; make room there, weir goes on by itself";
  }
  return Outcome::retry(FailureClass::kTransient, log::escaped(text));
}

// The directory was moved or removed under us: look for it again.
void FileDestination::look_again_if_gone(const Error& error) {
  if (error.os_errno != ENOENT && error.os_errno != ENOTDIR) return;
  files_.reset();
  gone_ = true;
}

Instant FileDestination::idle_deadline() const {
  if (!files_) return first_look_at_;
  if (active_.file.empty()) return Instant::max();
  const Instant old_enough =
      opened_at_ + std::chrono::milliseconds(setup_.options.roll_interval_ms);
  return std::max(old_enough, retry_at_);
}

void FileDestination::on_idle(std::stop_token) {
  first_look_at_ = Instant::max();
  const auto done = finish_if_due();
  if (done) return;
  look_again_if_gone(done.error());
  retry_at_ = clock_.now() + kIdleRetry;
  if (!files_) first_look_at_ = retry_at_;
  log::warn("An idle output file cannot be given its final name yet.",
            {{"stream", setup_.stream_name},
             {"destination", setup_.identifier},
             {"directory", setup_.options.directory},
             {"error", done.error().what}});
}

Result<void> FileDestination::finish_if_due() {
  if (!files_) {
    WEIR_TRY(const auto files, setup_.open(gone_));
    WEIR_TRY(const bool used_before, exists(*files, position_name(prefix_)));
    if (!used_before) return {};
    WEIR_RETURN_IF_ERROR(recover());
  }
  if (repair_needed_) return repair();
  return due_to_roll() ? finish_file() : Result<void>{};
}

Result<void> FileDestination::append(const exporter::Batch& batch) {
  if (!files_) WEIR_RETURN_IF_ERROR(recover());
  if (repair_needed_) WEIR_RETURN_IF_ERROR(repair());
  if (due_to_roll()) WEIR_RETURN_IF_ERROR(finish_file());
  WEIR_TRY(const EncodedBatch encoded, encode(batch, setup_.options));
  if (active_.file.empty()) {
    WEIR_RETURN_IF_ERROR(start_file(batch.messages().front().sequence));
  }
  WEIR_RETURN_IF_ERROR(write(encoded.bytes.bytes()));

  metrics_.counter(kSentBytesTotal, {"file"}).add(encoded.bytes.size());
  if (encoded.escaped_messages > 0) {
    metrics_.counter(kEscapedMessagesTotal)
        .add(static_cast<std::uint64_t>(encoded.escaped_messages));
    log::warn(
        "Messages that are not JSON contain line feeds, which were written as \\n; choose "
        "format: length for this export to keep every byte as it is.",
        {{"stream", setup_.stream_name}, {"destination", setup_.identifier}});
  }
  if (due_to_roll()) {
    // The batch is safe: what fails here is done before the next one.
    if (const auto finished = finish_file(); !finished) {
      log::warn("An output file cannot be given its final name yet.",
                {{"stream", setup_.stream_name}, {"error", finished.error().what}});
    }
  }
  return {};
}

// Runs before the first delivery: whatever a crash left behind becomes whole batches again.
Result<void> FileDestination::recover() {
  WEIR_TRY(files_, setup_.open(gone_));
  gone_ = false;
  active_ = {};
  repair_needed_ = false;
  auto positions = PositionStore::open(*files_, position_name(prefix_));
  if (!positions) {
    files_.reset();
    return fail(std::move(positions).error());
  }
  positions_ = std::move(*positions);
  Result<void> done;
  if (positions_->last() && !positions_->last()->file.empty()) {
    done = recover_active(*positions_->last());
  }
  if (done) done = tidy_strays();
  if (!done) files_.reset();
  return done;
}

Result<void> FileDestination::recover_active(const Position& saved) {
  const std::string name = saved.file + std::string(kPartSuffix);
  auto file = files_->open(name, OpenMode::kReadWrite);
  if (!file && file.error().code == Errc::kNotFound) return {};  // it was finished
  if (!file) return fail(with_context("open " + name, std::move(file).error()));
  WEIR_TRY(const std::uint64_t size, (*file)->size());
  active_ = saved;
  if (size < saved.bytes) {
    log::warn("An output file is shorter than what was written to it; somebody cut it.",
              {{"file", name}, {"expected_bytes", saved.bytes}, {"bytes", size}});
    active_.bytes = size;
  }
  if (size > saved.bytes) {
    WEIR_RETURN_IF_ERROR((*file)->truncate(saved.bytes));
    WEIR_RETURN_IF_ERROR((*file)->sync());
    log::info("The unfinished end of an output file was cut off; its messages are sent again.",
              {{"file", name}, {"cut_bytes", size - saved.bytes}});
  }
  // Age by the wall clock only here: how long weir was down is not known otherwise.
  const std::int64_t age_ms = clock_.wall_ms() - saved.opened_wall_ms;
  opened_at_ = clock_.now();
  if (age_ms > 0)
    opened_at_ -= std::chrono::milliseconds(std::min(age_ms, setup_.options.roll_interval_ms));
  return {};
}

// Active files nobody knows the good length of: empty ones go, others are kept under a name that
// says so.
Result<void> FileDestination::tidy_strays() {
  WEIR_TRY(const auto entries, files_->list(""));
  for (const auto& entry : entries) {
    const std::string& name = entry.name;
    if (entry.kind != weir::file::EntryKind::kFile || !name.starts_with(prefix_) ||
        !name.ends_with(kPartSuffix) || (!active_.file.empty() && name == part())) {
      continue;
    }
    WEIR_TRY(const auto file, files_->open(name, OpenMode::kRead));
    WEIR_TRY(const std::uint64_t size, file->size());
    if (size == 0) {
      WEIR_RETURN_IF_ERROR(files_->remove_file(name));
      continue;
    }
    const std::string kept =
        name.substr(0, name.size() - kPartSuffix.size()) + std::string(kRecoveredSuffix);
    WEIR_RETURN_IF_ERROR(files_->rename(name, kept));
    WEIR_RETURN_IF_ERROR(files_->sync_directory(""));
    log::warn(
        "An unfinished output file without a record of its length was set aside; its end "
        "may be half a batch, and its messages may be written again.",
        {{"file", kept}, {"bytes", size}});
  }
  return {};
}

Result<void> FileDestination::start_file(SequenceNumber first) {
  Position fresh;
  fresh.opened_wall_ms = clock_.wall_ms();
  for (int tries = 0; tries < kNameTriesMax; ++tries) {
    fresh.file = file_name(prefix_, first, fresh.opened_wall_ms + tries, setup_.options);
    WEIR_TRY(const bool taken, exists(*files_, fresh.file));
    if (taken) continue;  // a finished file is never replaced
    const std::string name = fresh.file + std::string(kPartSuffix);
    auto created = files_->open(name, OpenMode::kCreateNew);
    if (!created && created.error().code == Errc::kAlreadyExists) continue;
    if (!created) return fail(with_context("create " + name, std::move(created).error()));
    WEIR_RETURN_IF_ERROR(files_->sync_directory(""));
    WEIR_RETURN_IF_ERROR(positions_->save(*files_, fresh));
    active_ = std::move(fresh);
    opened_at_ = clock_.now();
    return {};
  }
  return fail(Errc::kAlreadyExists, "no free name for a new output file");
}

// Data first, then the position behind them: each on stable storage before the next step.
Result<void> FileDestination::write(Bytes bytes) {
  auto file = files_->open(part(), OpenMode::kReadWrite);
  if (!file) {
    if (file.error().code == Errc::kNotFound) files_.reset();  // removed by somebody: start anew
    return fail(with_context("open " + part(), std::move(file).error()));
  }
  const std::array pieces = {bytes};
  if (auto written = (*file)->write_at(active_.bytes, pieces); !written) {
    repair_needed_ = !(*file)->truncate(active_.bytes);  // give the space back at once
    return fail(with_context("write " + part(), std::move(written).error()));
  }
  repair_needed_ = true;
  if (auto synced = (*file)->sync(); !synced) {
    return fail(with_context("sync " + part(), std::move(synced).error()));
  }
  Position behind = active_;
  behind.bytes += bytes.size();
  WEIR_RETURN_IF_ERROR(positions_->save(*files_, behind));
  active_ = std::move(behind);
  repair_needed_ = false;
  return {};
}

// A write, sync or position failed: nobody knows what is on disk behind the last good byte. Say
// first that nothing there counts, then cut it off, and leave that file alone (reliability.md 2.1).
Result<void> FileDestination::repair() {
  WEIR_RETURN_IF_ERROR(positions_->save(*files_, active_));
  auto file = files_->open(part(), OpenMode::kReadWrite);
  if (!file && file.error().code == Errc::kNotFound) {
    active_ = {};
    repair_needed_ = false;
    return {};
  }
  if (!file) return fail(with_context("open " + part(), std::move(file).error()));
  WEIR_RETURN_IF_ERROR((*file)->truncate(active_.bytes));
  WEIR_RETURN_IF_ERROR((*file)->sync());
  repair_needed_ = false;
  return finish_file();
}

bool FileDestination::due_to_roll() const {
  if (active_.file.empty()) return false;
  return active_.bytes >= static_cast<std::uint64_t>(setup_.options.roll_bytes) ||
         clock_.now() - opened_at_ >= std::chrono::milliseconds(setup_.options.roll_interval_ms);
}

Result<void> FileDestination::finish_file() {
  if (active_.bytes == 0) {
    WEIR_RETURN_IF_ERROR(files_->remove_file(part()));
  } else {
    WEIR_RETURN_IF_ERROR(files_->rename(part(), active_.file));
    metrics_.counter(kFinishedFilesTotal).add();
  }
  active_ = {};
  return files_->sync_directory("");
}

}  // namespace weir::destination::file_export
