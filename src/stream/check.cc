#include "stream/check.h"

#include "stream/cursor_files.h"
#include "stream/definition_file.h"
#include "stream/layout.h"
#include "stream/names_file.h"
#include "stream/slot_file.h"
#include "stream/states.h"
#include "stream/store.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace weir::stream {
namespace {

std::uint64_t bytes_of(file::FileSystem& disk, const std::string& path) {
  const auto file = disk.open(path, file::OpenMode::kRead);
  return file ? (*file)->size().value_or(0) : 0;
}

/// One stream's directory.
class StreamCheck {
 public:
  StreamCheck(file::FileSystem& disk, StreamId id, std::function<void(std::int64_t bytes)> checked)
      : disk_(disk), checked_(std::move(checked)) {
    report_.id = id;
    report_.directory = layout::stream_directory(id);
  }

  Result<StreamReport> run() {
    check_definition();
    WEIR_TRY(const auto names, disk_.list(report_.directory));
    for (const file::Entry& entry : names) sort_in(entry);
    std::sort(bases_.begin(), bases_.end());
    if (!report_.in_memory) check_state();
    for (std::size_t i = 0; i < bases_.size(); ++i) check_segment(i);
    check_cursors();
    return std::move(report_);
  }

 private:
  [[nodiscard]] std::string path(std::string_view name) const {
    return layout::join(report_.directory, name);
  }

  void check_definition() {
    FileReport& file = report_.definition;
    file.path = path(layout::kDefinition);
    file.file_bytes = bytes_of(disk_, file.path);
    auto loaded = load_definition(disk_, report_.directory);
    if (!loaded) {
      file.verdict = Verdict::kUnreadable;
      file.text = loaded.error().what;
      const auto names = NamesFile(disk_).load();
      const auto known = names.find(report_.id);
      if (known != names.end()) report_.name = known->second;
      return;
    }
    if (loaded->from_previous) {
      file.verdict = Verdict::kDamaged;
      file.text = loaded->problem + "; the previous version is used";
    }
    const StoredDefinition& stored = loaded->stored;
    report_.name = stored.definition.name;
    report_.in_memory = stored.definition.persistence_or_default() == model::Persistence::kMemory;
    identity_ = stored.identity;
  }

  void sort_in(const file::Entry& entry) {
    const bool is_file = entry.kind == file::EntryKind::kFile;
    const auto base = layout::segment_base_from(entry.name);
    const bool known = entry.name == layout::kDefinition ||
                       entry.name == layout::kDefinitionBefore ||
                       entry.name == layout::kStreamState || entry.name == layout::kCursors ||
                       entry.name.ends_with(".tmp");
    if (base && is_file) {
      bases_.push_back(*base);
    } else if (!known) {
      report_.unknown.push_back(path(entry.name));
    }
  }

  void check_state() {
    report_.state.path = path(layout::kStreamState);
    report_.state.file_bytes = bytes_of(disk_, report_.state.path);
    const auto content = read_slots(disk_, report_.state.path, kStateSlotBytes);
    const auto state = content ? decode_stream_state(content->payload) : std::nullopt;
    if (state) {
      state_ = *state;
    } else {
      report_.state.verdict = Verdict::kUnreadable;
      report_.state.text = content ? "its content is not a state" : content.error().what;
    }
  }

  /// The number behind the last one segment `i` should hold; none for the last segment.
  [[nodiscard]] std::optional<SequenceNumber> expected_next(std::size_t i) const {
    if (i + 1 == bases_.size()) return std::nullopt;
    return used_before(state_.jumps, bases_[i + 1], bases_[i]);
  }

  void check_segment(std::size_t i) {
    FileReport file;
    file.path = path(layout::segment_name(bases_[i]));
    file.base = file.next = bases_[i];
    const auto opened = disk_.open(file.path, file::OpenMode::kRead);
    auto scanned = !opened ? Result<segment::Scan>(fail(opened.error()))
                           : segment::scan(**opened, identity_.value_or(0));
    if (scanned && scanned->header.base != bases_[i]) {
      scanned = fail(Errc::kCorrupt, "its header says that it begins with message " +
                                         std::to_string(scanned->header.base.value()));
    }
    const auto expected = expected_next(i);
    if (!scanned) {
      file.verdict = Verdict::kUnreadable;
      file.text = identity_ ? scanned.error().what : "not checked without a definition";
      file.file_bytes = bytes_of(disk_, file.path);
      if (expected) lose(file, {0, file.file_bytes, bases_[i], *expected});
    } else {
      judge(file, *scanned, expected);
    }
    checked_(static_cast<std::int64_t>(file.file_bytes));
    report_.segments.push_back(std::move(file));
  }

  void judge(FileReport& file, const segment::Scan& scan, std::optional<SequenceNumber> expected) {
    file.file_bytes = scan.file_bytes;
    file.next = scan.next;
    file.valid_end = scan.valid_end;
    std::int64_t lost = 0;
    for (const segment::Hole& hole : scan.holes) {
      lost += hole.first_after - hole.first_lost;
      lose(file, hole);
    }
    report_.messages += scan.next - scan.header.base - lost;
    if (expected && scan.next < *expected) {
      lose(file, {scan.valid_end, scan.file_bytes - scan.valid_end, scan.next, *expected});
    } else if (!expected && scan.torn_tail) {
      file.verdict = std::max(file.verdict, Verdict::kTorn);
      file.text += std::string(file.text.empty() ? "" : "; ") + "an unfinished write of " +
                   std::to_string(scan.file_bytes - scan.valid_end) + " bytes at offset " +
                   std::to_string(scan.valid_end);
    }
  }

  void lose(FileReport& file, const segment::Hole& hole) {
    file.verdict = std::max(file.verdict, Verdict::kDamaged);
    file.lost.push_back(hole);
    report_.lost_messages += hole.first_after - hole.first_lost;
    if (!file.text.empty()) file.text += "; ";
    const bool one = hole.first_after - hole.first_lost == 1;
    file.text += (one ? "message " : "messages ") + std::to_string(hole.first_lost.value());
    if (!one) file.text += " to " + std::to_string(hole.first_after.value() - 1);
    file.text += (one ? " is lost at offset " : " are lost at offset ") +
                 std::to_string(hole.offset) + " (" + std::to_string(hole.bytes) + " bytes)";
  }

  void check_cursors() {
    const std::string directory = path(layout::kCursors);
    const auto names = disk_.list(directory);
    if (!names) return;
    for (const file::Entry& entry : *names) {
      FileReport file;
      file.path = layout::join(directory, entry.name);
      const bool is_file = entry.kind == file::EntryKind::kFile;
      if (is_file && layout::note_number_from(entry.name)) continue;
      if (!layout::cursor_number_from(entry.name) || entry.kind != file::EntryKind::kFile) {
        report_.unknown.push_back(file.path);
        continue;
      }
      file.file_bytes = bytes_of(disk_, file.path);
      const auto content = read_slots(disk_, file.path, kCursorSlotBytes);
      const auto cursor = content ? decode_cursor(content->payload) : std::nullopt;
      if (!cursor) {
        file.verdict = Verdict::kUnreadable;
        file.text = "the export starts over at the oldest message";
      } else {
        file.next = cursor->next;
        if (content->other_slot_damaged) {
          file.text = "one of its two versions is damaged; the other one is used";
          file.verdict = Verdict::kTorn;
        }
      }
      report_.cursors.push_back(std::move(file));
    }
  }

  file::FileSystem& disk_;
  const std::function<void(std::int64_t bytes)> checked_;
  StreamReport report_;
  StreamState state_;
  std::optional<std::uint64_t> identity_;
  std::vector<SequenceNumber> bases_;
};

void check_store_files(file::FileSystem& disk, StoreReport& report) {
  report.format.path = layout::kFormat;
  if (!Store::format_is_sound(disk)) {
    report.format.verdict = Verdict::kUnreadable;
    report.format.text = "damaged or missing; the next start writes it again";
  }
  report.state.path = layout::kStoreState;
  const auto content = read_slots(disk, layout::kStoreState, kStateSlotBytes);
  const auto state = content ? decode_store_state(content->payload) : std::nullopt;
  if (state) {
    report.clean = state->clean;
  } else {
    report.state.verdict = Verdict::kUnreadable;
    report.state.text = "the next start looks through the newest segment of every stream";
  }
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSound:
      return "sound";
    case Verdict::kTorn:
      return "torn";
    case Verdict::kDamaged:
      return "damaged";
    case Verdict::kUnreadable:
      return "unreadable";
  }
  return "unknown";
}

Verdict StreamReport::worst() const {
  Verdict worst = std::max(definition.verdict, state.verdict);
  for (const FileReport& file : segments) worst = std::max(worst, file.verdict);
  for (const FileReport& file : cursors) worst = std::max(worst, file.verdict);
  return worst;
}

Verdict StoreReport::worst() const {
  Verdict worst = std::max(format.verdict, state.verdict);
  for (const StreamReport& stream : streams) worst = std::max(worst, stream.worst());
  return worst;
}

Result<void> is_store(file::FileSystem& disk) {
  WEIR_TRY(const auto names, disk.list(""));
  if (names.empty()) return fail(Errc::kNotFound, "the directory is empty: there is no store");
  return Store::check_format(disk);
}

Result<StoreReport> check_store(file::FileSystem& disk,
                                const std::function<void(std::int64_t bytes)>& checked) {
  WEIR_RETURN_IF_ERROR(is_store(disk));
  WEIR_TRY(const auto names, disk.list(""));
  StoreReport report;
  std::unique_ptr<file::Lock> held;
  const bool has_lock = std::any_of(names.begin(), names.end(), [](const file::Entry& entry) {
    return entry.name == layout::kLock;
  });
  if (has_lock) {
    auto lock = disk.lock(layout::kLock);
    report.in_use = !lock && lock.error().code == Errc::kUnavailable;
    if (lock) held = std::move(*lock);
  }
  check_store_files(disk, report);
  std::int64_t behind = 0;
  WEIR_TRY(const auto streams, disk.list(layout::kStreams));
  for (const file::Entry& entry : streams) {
    const auto id = layout::stream_id_from(entry.name);
    if (!id || entry.kind != file::EntryKind::kDirectory) continue;
    auto stream = StreamCheck(disk, *id, [&](std::int64_t bytes) {
                    behind += bytes;
                    if (checked) checked(behind);
                  }).run();
    // Deleted by the weir that is running.
    if (!stream && stream.error().code == Errc::kNotFound) continue;
    if (!stream) return fail(std::move(stream).error());
    report.streams.push_back(std::move(*stream));
  }
  std::sort(report.streams.begin(), report.streams.end(),
            [](const StreamReport& a, const StreamReport& b) { return a.id < b.id; });
  if (const auto kept = disk.list(layout::kQuarantine)) {
    for (const file::Entry& entry : *kept) {
      const auto inside = entry.kind == file::EntryKind::kDirectory
                              ? disk.list(layout::join(layout::kQuarantine, entry.name))
                              : Result<std::vector<file::Entry>>(fail(Errc::kNotFound, ""));
      report.quarantined_files += inside ? static_cast<std::int64_t>(inside->size()) : 1;
    }
  }
  if (const auto trash = disk.list(layout::kTrash)) {
    report.deleted_streams = static_cast<std::int64_t>(trash->size());
  }
  return report;
}

}  // namespace weir::stream
