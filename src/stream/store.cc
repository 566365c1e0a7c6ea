#include "stream/store.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "stream/layout.h"
#include "stream/misplaced.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace weir::stream {
namespace {

constexpr int kFormatVersion = 1;
constexpr std::uint64_t kIdsReserved = 64;

/// "weir store 1" and a checksum, so that a damaged version is not mistaken for a newer one.
std::string format_text(int version) {
  const std::string first = "weir store " + std::to_string(version) + "\n";
  std::array<char, 32> line{};
  std::snprintf(line.data(), line.size(), "crc32c %08x\n", crc32c(as_bytes(first)));
  return first + line.data();
}

enum class Format : std::uint8_t { kOurs, kNewer, kDamaged, kNoFile, kMissing };

Result<Format> read_format(file::FileSystem& disk) {
  const auto content = file::read_file(disk, layout::kFormat, 4'096);
  if (!content && content.error().code == Errc::kNotFound) return Format::kMissing;
  if (!content && names_no_file(content.error())) return Format::kNoFile;
  if (!content && content.error().code == Errc::kIo) return fail(content.error());
  const std::string text = content ? std::string(as_text(*content)) : std::string();
  if (text == format_text(kFormatVersion)) return Format::kOurs;
  int version = 0;
  const bool known = std::sscanf(text.c_str(), "weir store %9d", &version) == 1;
  if (known && version > kFormatVersion && text == format_text(version)) return Format::kNewer;
  return Format::kDamaged;
}

bool is_ours(std::string_view entry) {
  constexpr std::array<std::string_view, 11> kNames{
      layout::kLock,    layout::kFormat, layout::kStoreState, layout::kNames,
      layout::kStreams, layout::kTrash,  layout::kQuarantine, layout::kAdminToken,
      "FORMAT.tmp",     "state.tmp",     "names.tmp"};
  // What was in the way of a file of ours was renamed to `<file>.bad`.
  const std::string_view name = entry.substr(0, entry.find(".bad"));
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// A directory without FORMAT is ours only if everything in it is.
Result<void> check_names(file::FileSystem& disk) {
  WEIR_TRY(const auto entries, disk.list(""));
  for (const file::Entry& entry : entries) {
    if (entry.name == layout::kOriginalStore) {
      return fail(Errc::kConflict,
                  "the store directory belongs to the AWS IoT Greengrass stream manager "
                  "(stream_manager_metadata_store); its format cannot be read, choose an empty "
                  "directory for weir");
    }
  }
  for (const file::Entry& entry : entries) {
    if (is_ours(entry.name) || entry.name == "lost+found") continue;
    return fail(Errc::kConflict, "the store directory is not weir's: it contains \"" + entry.name +
                                     "\" and no FORMAT file; choose an empty directory");
  }
  return {};
}

}  // namespace

Result<void> Store::check_format(file::FileSystem& disk) {
  WEIR_TRY(const Format format, read_format(disk));
  switch (format) {
    case Format::kOurs:
    case Format::kDamaged:
      return {};
    case Format::kNewer:
      return fail(Errc::kUnsupported,
                  "the store was written by a newer version of weir, in a format this one does "
                  "not know; install that version again or choose another directory");
    case Format::kNoFile:
    case Format::kMissing:
      return check_names(disk);
  }
  return {};
}

bool Store::format_is_sound(file::FileSystem& disk) {
  const auto format = read_format(disk);
  return format && *format == Format::kOurs;
}

Result<std::unique_ptr<Store>> Store::open(file::FileSystem& disk, std::string boot_id) {
  WEIR_RETURN_IF_ERROR(check_format(disk));
  auto lock = disk.lock(layout::kLock);
  if (!lock && lock.error().code == Errc::kUnavailable) {
    return fail(Errc::kUnavailable,
                "the store is in use by another weir (its LOCK file is locked); stop that one or "
                "choose another directory");
  }
  if (!lock) return fail(with_context("lock the store", std::move(lock).error()));
  std::unique_ptr<Store> store(new Store(disk, std::move(*lock)));
  WEIR_RETURN_IF_ERROR(store->make_directories());
  store->load_state(std::move(boot_id));
  return store;
}

/// A directory or a link in place of one of our files makes way for the file.
Result<void> Store::clear_name(std::string_view name) {
  const auto opened = disk_.open(name, file::OpenMode::kRead);
  if (opened || !names_no_file(opened.error())) return {};
  return move_aside(disk_, std::string(name));
}

Result<void> Store::make_directories() {
  WEIR_TRY(const Format format, read_format(disk_));
  if (format != Format::kOurs) {
    if (format != Format::kMissing) {
      log::warn("The FORMAT file of the store was damaged and is written again.");
      WEIR_RETURN_IF_ERROR(clear_name(layout::kFormat));
    }
    const auto made =
        file::replace_file(disk_, layout::kFormat, as_bytes(format_text(kFormatVersion)));
    // On a full disk a store that has streams goes on without it (S4).
    if (!made && format == Format::kMissing) {
      return fail(with_context("create the store", made.error()));
    }
  }
  bool created = false;
  for (const std::string_view name : {layout::kStreams, layout::kTrash, layout::kQuarantine}) {
    const auto made = disk_.make_directory(name);
    if (!made && made.error().code != Errc::kAlreadyExists && name == layout::kStreams) {
      return fail(with_context("create the store", made.error()));
    }
    created = created || made.has_value();
  }
  if (created) WEIR_RETURN_IF_ERROR(disk_.sync_directory(""));
  return {};
}

void Store::load_state(std::string boot_id) {
  boot_id_ = std::move(boot_id);
  auto content = read_slots(disk_, layout::kStoreState, kStateSlotBytes);
  const auto state = content ? decode_store_state(content->payload) : std::nullopt;
  if (state) {
    state_ = *state;
    slots_.emplace(kStateSlotBytes, *content);
    next_id_ = state_.next_id;
  }
  last_run_.clean = state_.clean;
  const bool known = !state_.boot_id.empty() && !boot_id_.empty();
  last_run_.restart_certain = known && state_.boot_id != boot_id_;
  last_run_.kernel_restarted = !known || state_.boot_id != boot_id_;
  if (!state && content.has_value()) last_run_.kernel_restarted = true;
  if (!last_run_.clean && last_run_.kernel_restarted) ++state_.epoch;
  last_run_.epoch = state_.epoch;
}

Result<void> Store::recovered(bool complete) {
  complete_ = complete;
  const bool power_cut = !last_run_.clean && last_run_.kernel_restarted;
  state_.clean = false;
  state_.boot_id = power_cut && !complete ? std::string() : boot_id_;
  state_.next_id = std::max(state_.next_id, next_id_);
  return write_state();
}

Result<void> Store::write_state() {
  if (!slots_) {
    // There was none, or neither slot was readable.
    WEIR_RETURN_IF_ERROR(clear_name(layout::kStoreState));
    auto removed = disk_.remove_file(layout::kStoreState);
    if (!removed && removed.error().code != Errc::kNotFound) return removed;
    WEIR_RETURN_IF_ERROR(
        create_slots(disk_, layout::kStoreState, kStateSlotBytes, encode(state_), true));
    WEIR_RETURN_IF_ERROR(disk_.sync_directory(""));
    SlotContent present;
    present.generation = 1;
    slots_.emplace(kStateSlotBytes, present);
    return {};
  }
  WEIR_TRY(const auto file, disk_.open(layout::kStoreState, file::OpenMode::kReadWrite));
  WEIR_TRY(const std::uint64_t generation, slots_->write(*file, encode(state_)));
  WEIR_RETURN_IF_ERROR(file->sync());
  slots_->synced(generation);
  return {};
}

void Store::saw_id(StreamId id) { next_id_ = std::max(next_id_, id.value() + 1); }

StreamId Store::take_id() { return StreamId(next_id_++); }

Result<void> Store::reserve_ids(StreamId taken) {
  if (taken.value() < state_.next_id) return {};
  const std::uint64_t before = state_.next_id;
  state_.next_id = taken.value() + 1 + kIdsReserved;
  auto written = write_state();
  if (!written) state_.next_id = before;
  return written;
}

Result<void> Store::close() {
  state_.clean = complete_;
  state_.next_id = next_id_;
  return write_state();
}

}  // namespace weir::stream
