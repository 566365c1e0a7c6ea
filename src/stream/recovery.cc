#include "stream/recovery.h"

#include "base/log.h"
#include "stream/layout.h"
#include "stream/misplaced.h"
#include "stream/state_keeper.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace weir::stream {
namespace {

/// Added to the end of a log whose reservation is unreadable after a power cut: more messages than
/// any disk took in the second that may be lost.
constexpr std::int64_t kJumpWithoutReservation = 1 << 24;

/// A file that looks like a segment.
struct Found {
  segment::Header header;
  std::string path;
  std::uint64_t file_bytes = 0;
};

class Recovery {
 public:
  Recovery(file::FileSystem& disk, std::string directory, const StoredDefinition& stored,
           const LastRun& last_run, std::shared_ptr<Log::Shared> shared)
      : disk_(disk),
        directory_(std::move(directory)),
        stored_(stored),
        last_run_(last_run),
        shared_(std::move(shared)) {}

  Result<RecoveredStream> run() {
    out_.log = std::make_shared<Log>(shared_, stored_.id, stored_.definition.name);
    out_.cursors = std::make_shared<CursorFiles>(disk_, directory_);
    out_.cursors->open();
    load_state();
    WEIR_TRY(const auto names, disk_.list(directory_));
    WEIR_RETURN_IF_ERROR(find_segments(names));
    drop_found_below_floor();
    look_for_missing_start();
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (!add_segment(i)) break;
    }
    drop_below_floor();
    settle();
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool flush() const { return stored_.definition.durable_before_answer(); }
  [[nodiscard]] bool power_cut() const { return !clean_ && last_run_.kernel_restarted; }

  void load_state() {
    clean_ = last_run_.clean;
    const std::string path = layout::join(directory_, layout::kStreamState);
    auto content = read_slots(disk_, path, kStateSlotBytes);
    const auto state = content ? decode_stream_state(content->payload) : std::nullopt;
    if (state) {
      out_.state = *state;
      out_.state_slot = std::move(*content);
      out_.state_durable = clean_;
      return;
    }
    log::error("The state of a stream is unreadable; its numbers are taken from its messages.",
               {{"stream", stored_.definition.name}, {"file", path}});
    state_lost_ = true;
    clean_ = false;
    // What is not a file cannot be written either, and would keep the stream from going on.
    if (!content && names_no_file(content.error()) && !move_aside(disk_, path)) {
      log::warn("It could not be renamed.", {{"path", path}});
    }
  }

  /// Opens what is named like a segment, oldest first; sets aside what is not one of ours.
  Result<void> find_segments(const std::vector<file::Entry>& names) {
    std::vector<std::pair<SequenceNumber, std::string>> candidates;
    for (const file::Entry& entry : names) {
      const std::string path = layout::join(directory_, entry.name);
      const auto base = layout::segment_base_from(entry.name);
      if (base && entry.kind == file::EntryKind::kFile) candidates.emplace_back(*base, path);
      if (base && entry.kind != file::EntryKind::kFile) {
        log::warn("What is named like a segment is not a file; ignoring it.", {{"path", path}});
      }
      const bool leftover = entry.name.ends_with(".tmp") && entry.kind == file::EntryKind::kFile;
      if (leftover && !disk_.remove_file(path)) {
        log::warn("A temporary file could not be removed.", {{"path", path}});
      }
    }
    std::sort(candidates.begin(), candidates.end());
    for (const auto& [base, path] : candidates) {
      auto found = open_segment(base, path);
      if (found) {
        found_.push_back(std::move(*found));
      } else if (found.error().code == Errc::kUnsupported) {
        return fail(with_context(path, std::move(found).error()));
      } else if (found.error().code != Errc::kCorrupt) {
        skip_failing(path, found.error());
      } else {
        set_aside(base, path, found.error().what, base == candidates.back().first);
      }
    }
    return {};
  }

  /// The disk fails, perhaps for now: the file stays as it is. Without it nobody knows which
  /// numbers are taken, so nothing is appended until a start that can read it.
  void skip_failing(const std::string& path, const Error& why) {
    out_.fault = "a segment cannot be read: " + why.what;
    log::error("A segment cannot be read; the stream can only be read until the next start.",
               {{"stream", stored_.definition.name}, {"file", path}, {"error", why.what}});
  }

  Result<Found> open_segment(SequenceNumber base, const std::string& path) {
    WEIR_TRY(const auto file, disk_.open(path, file::OpenMode::kRead));
    Found found;
    found.path = path;
    WEIR_TRY(found.file_bytes, file->size());
    unreadable_bytes_ = found.file_bytes;
    std::array<std::byte, segment::kHeaderBytes> head{};
    WEIR_TRY(const std::size_t got, file->read_at(0, head));
    WEIR_TRY(found.header, segment::decode_header(Bytes(head).first(got)));
    if (found.header.base != base || found.header.stream_identity != stored_.identity) {
      return fail(Errc::kCorrupt, "it belongs to another stream or place");
    }
    return found;
  }

  /// A segment without a readable header. Its records cannot be told from garbage; the file is
  /// kept under another name, and no number it may hold is used again.
  void set_aside(SequenceNumber base, const std::string& path, const std::string& why,
                 bool newest) {
    const std::uint64_t bytes = std::exchange(unreadable_bytes_, 0);
    if (bytes <= segment::kHeaderBytes) {
      // The creation of the newest was cut off: it never held anything. So was that of one before
      // it, perhaps, if the power was cut; else something emptied it.
      if (!newest && !(power_cut() && base >= out_.state.durable)) {
        log::error(
            "A segment is empty; what it held is lost.",
            {{"stream", stored_.definition.name}, {"file", path}, {"first_lost", base.value()}});
      }
      if (!disk_.remove_file(path)) log::warn("Cannot remove an empty segment.", {{"file", path}});
      return;
    }
    const auto records_max = static_cast<std::int64_t>((bytes - segment::kHeaderBytes) /
                                                       (segment::kRecordOverheadBytes + 1));
    // Only zeros: the disk had given it a size and no content yet, so nothing was ever durable.
    if (!power_cut() || !all_zeros(path)) {
      jump_to_ = std::max(jump_to_, base + records_max);
      log::error("A segment is unreadable and was set aside.", {{"stream", stored_.definition.name},
                                                                {"file", path + ".bad"},
                                                                {"bytes", bytes},
                                                                {"first_lost", base.value()},
                                                                {"error", why}});
    }
    if (!disk_.rename(path, path + ".bad")) {
      log::warn("An unreadable segment could not be renamed.", {{"file", path}});
    }
    out_.seal_last = true;
  }

  bool all_zeros(const std::string& path) {
    const auto file = disk_.open(path, file::OpenMode::kRead);
    ByteVector chunk(64 * 1024);
    for (std::uint64_t offset = 0; file;) {
      const auto got = (*file)->read_at(offset, chunk);
      if (!got) return false;
      const auto end = chunk.begin() + static_cast<std::ptrdiff_t>(*got);
      if (std::any_of(chunk.begin(), end, [](std::byte b) { return b != std::byte{0}; })) {
        return false;
      }
      if (*got < chunk.size()) return true;
      offset += *got;
    }
    return false;
  }

  /// The number behind the last one that a segment with a successor can hold.
  [[nodiscard]] SequenceNumber sealed_next(std::size_t i) const {
    return used_before(out_.state.jumps, found_[i + 1].header.base, found_[i].header.base);
  }

  /// Adds one segment to the log. False: nothing behind it counts any more.
  bool add_segment(std::size_t i) {
    const Found& found = found_[i];
    auto segment = std::make_shared<Segment>(found.header, found.path);
    segment->earlier_run = true;
    const bool last = i + 1 == found_.size();
    const std::int64_t later = last ? 0 : found_[i + 1].header.created_ms;
    segment->newest_append_ms = std::max(found.header.created_ms, later);
    if (last && as_left(found)) {
      segment->publish(out_.state.last_end_offset, out_.state.next);
      segment->newest_append_ms = out_.state.last_newest_append_ms;
      out_.log->append_segment(std::move(segment));
      return true;
    }
    const bool trusted = !last && (!power_cut() || sealed_next(i) <= out_.state.durable);
    if (trusted) {
      segment->publish(std::max<std::uint64_t>(found.file_bytes, segment::kHeaderBytes),
                       sealed_next(i));
      out_.log->append_segment(std::move(segment));
      return true;
    }
    return add_scanned(i, segment);
  }

  /// An orderly stop said exactly where this file ends, and there it ends.
  [[nodiscard]] bool as_left(const Found& found) const {
    const StreamState& state = out_.state;
    return clean_ && state.last_base == found.header.base &&
           state.last_end_offset == found.file_bytes && state.next >= found.header.base;
  }

  bool add_scanned(std::size_t i, const std::shared_ptr<Segment>& segment) {
    const bool last = i + 1 == found_.size();
    const auto file = disk_.open(found_[i].path, file::OpenMode::kReadWrite);
    auto scanned =
        file ? segment::scan(**file, stored_.identity) : Result<segment::Scan>(fail(file.error()));
    if (!scanned) {
      // Perhaps it can be read later; until then nobody knows where it ends.
      out_.fault = "its newest segment cannot be read: " + scanned.error().what;
      log::error("A stream can only be read until the next start: its newest segment fails.",
                 {{"stream", stored_.definition.name}, {"error", scanned.error().what}});
      const SequenceNumber next = last ? found_[i].header.base : sealed_next(i);
      segment->publish(last ? segment::kHeaderBytes : found_[i].file_bytes, next);
      out_.log->append_segment(segment);
      return true;
    }
    for (const segment::IndexEntry& entry : scanned->index) {
      segment->add_index_point({entry.sequence, entry.offset, found_[i].header.created_ms});
    }
    segment->newest_append_ms = std::max(segment->newest_append_ms, scanned->newest_append_ms);
    return last ? add_last(**file, *scanned, segment) : add_unsynced(i, **file, *scanned, segment);
  }

  /// A hole above what was known to be durable, after a power cut: the disk wrote out of order.
  /// What is lost then is a suffix (D3), so the log ends where the hole begins. In a stream that is
  /// durable before the answer, none of it was ever answered.
  std::optional<segment::Hole> reordered(const segment::Scan& scan) const {
    if (!power_cut()) return std::nullopt;
    for (const segment::Hole& hole : scan.holes) {
      if (hole.first_lost >= out_.state.durable) return hole;
    }
    return std::nullopt;
  }

  bool add_last(file::File& file, const segment::Scan& scan,
                const std::shared_ptr<Segment>& segment) {
    std::uint64_t end = scan.valid_end;
    SequenceNumber next = scan.next;
    const auto cut = reordered(scan);
    if (cut) {
      end = cut->offset;
      next = cut->first_lost;
      note_power_cut(*segment, scan, *cut);
    }
    segment->publish(end, next);
    report_holes(*segment, scan, next);
    if (scan.file_bytes > end) cut_tail(file, *segment, end, scan);
    out_.log->append_segment(segment);
    return true;
  }

  /// A sealed segment that may not have reached the disk whole. False: the log ends in it.
  bool add_unsynced(std::size_t i, file::File& file, const segment::Scan& scan,
                    const std::shared_ptr<Segment>& segment) {
    const SequenceNumber following = sealed_next(i);
    const auto cut = reordered(scan);
    const bool whole = !cut && scan.next >= following;
    if (whole || scan.next < out_.state.durable) {
      const SequenceNumber next = std::max(following, segment->base());
      segment->publish(std::max(scan.valid_end, scan.file_bytes), next);
      report_holes(*segment, scan, next);
      if (scan.next < next) {
        segment::Hole rest{scan.valid_end, scan.file_bytes - scan.valid_end, scan.next, next};
        if (segment->add_hole(rest)) out_.log->report_loss(*segment, rest);
      }
      out_.log->append_segment(segment);
      return true;
    }
    // Before this segment is cut: behind one that ends properly it would look like part of the log.
    set_aside_from(i + 1);
    add_last(file, scan, segment);
    return false;
  }

  /// What stands behind messages that the power cut took is no part of the log any more.
  void set_aside_from(std::size_t first) {
    for (std::size_t i = first; i < found_.size(); ++i) {
      log::warn("A segment behind messages that the power cut took is set aside.",
                {{"stream", stored_.definition.name}, {"file", found_[i].path + ".bad"}});
      if (!disk_.rename(found_[i].path, found_[i].path + ".bad")) {
        log::warn("It could not be renamed.", {{"file", found_[i].path}});
      }
    }
    if (first < found_.size() && !disk_.sync_directory(directory_)) {
      log::warn("A directory could not be synced.", {{"path", directory_}});
    }
  }

  /// The log must begin at the floor: a later beginning means that the names of the first segments
  /// did not survive. If none of their messages were durable, the power cut took a suffix (D3) that
  /// begins at the very start; otherwise they are lost.
  void look_for_missing_start() {
    if (state_lost_ || found_.empty()) return;
    StreamState& state = out_.state;
    const SequenceNumber first = found_.front().header.base;
    // A jump may have begun below the floor.
    const SequenceNumber end = used_before(state.jumps, first, SequenceNumber(0));
    if (end <= state.floor) return;
    if (power_cut() && state.durable <= state.floor) {
      set_aside_from(0);
      found_.clear();
      return;
    }
    log::error("The first segments of a stream are gone; what they held is lost.",
               {{"stream", stored_.definition.name},
                {"first_lost", state.floor.value()},
                {"last_lost", end.value() - 1}});
    out_.log->note_loss(end - state.floor, "messages " + std::to_string(state.floor.value()) +
                                               " to " + std::to_string(end.value() - 1) +
                                               " were lost: their segments are gone");
    shared_->lost_to_damage->add(static_cast<std::uint64_t>(end - state.floor));
    state.floor = first;
    out_.state_durable = false;  // told once, not at every start
  }

  void note_power_cut(const Segment& segment, const segment::Scan& scan,
                      const segment::Hole& hole) {
    log::warn("The power cut took messages that were not on stable storage yet.",
              {{"stream", stored_.definition.name},
               {"file", segment.path()},
               {"first_lost", hole.first_lost.value()},
               {"offset", hole.offset},
               {"bytes", scan.file_bytes - hole.offset}});
    if (shared_->quarantine != nullptr) {
      shared_->quarantine->keep(stored_.id, segment.path(), hole.offset,
                                scan.file_bytes - hole.offset);
    }
  }

  void report_holes(Segment& segment, const segment::Scan& scan, SequenceNumber next) {
    for (segment::Hole hole : scan.holes) {
      if (hole.first_lost >= next) break;
      if (segment.add_hole(hole)) out_.log->report_loss(segment, hole);
      out_.seal_last = true;
    }
  }

  void cut_tail(file::File& file, const Segment& segment, std::uint64_t end,
                const segment::Scan& scan) {
    if (scan.torn_tail) {
      log::info("An unfinished write at the end of a segment was cut off.",
                {{"stream", stored_.definition.name},
                 {"file", segment.path()},
                 {"offset", end},
                 {"bytes", scan.file_bytes - end}});
    }
    auto cut = file.truncate(end);
    if (cut) cut = file.sync();
    if (cut) return;
    log::warn("The end of a segment could not be cut; the stream goes on in a new one.",
              {{"file", segment.path()}, {"error", cut.error().what}});
    out_.seal_last = true;
  }

  /// Without the floor that allows it, a removal looks like a loss after a power cut.
  bool floor_is_durable() {
    if (clean_ || floor_synced_) return true;
    const auto synced = StateKeeper::sync(disk_, layout::join(directory_, layout::kStreamState));
    if (!synced) {
      log::warn("Removed segments stay for now: the state of the stream cannot be synced.",
                {{"stream", stored_.definition.name}, {"error", synced.error().what}});
    }
    floor_synced_ = synced.has_value();
    return floor_synced_;
  }

  /// What retention had removed when the last run ended (reliability.md 5.1). Before anything is
  /// read: removed segments need not have reached the disk whole.
  void drop_found_below_floor() {
    std::size_t dropped = 0;
    while (dropped + 1 < found_.size() && sealed_next(dropped) <= out_.state.floor) {
      if (!floor_is_durable()) return;
      if (!disk_.remove_file(found_[dropped].path)) {
        log::warn("A removed segment is still there.", {{"file", found_[dropped].path}});
      }
      ++dropped;
    }
    if (dropped == 0) return;
    found_.erase(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(dropped));
    if (!disk_.sync_directory(directory_)) {
      log::warn("A directory could not be synced.", {{"path", directory_}});
    }
  }

  /// The same for the last one, whose end is known only now.
  void drop_below_floor() {
    bool removed = false;
    while (!out_.log->segments().empty()) {
      const auto oldest = out_.log->segments().front();
      const bool below = oldest->next() <= out_.state.floor && oldest->base() < out_.state.floor &&
                         floor_is_durable();
      if (!below || (oldest->empty() && out_.log->segments().size() == 1)) break;
      if (out_.log->segments().size() == 1) empty_end_ = oldest->next();
      out_.log->remove_oldest();
      removed = true;
      if (!disk_.remove_file(oldest->path())) {
        log::warn("A removed segment is still there.", {{"file", oldest->path()}});
      }
    }
    if (removed && !disk_.sync_directory(directory_)) {
      log::warn("A directory could not be synced.", {{"path", directory_}});
    }
  }

  /// Watermarks, and the number that comes next.
  void settle() {
    StreamState& state = out_.state;
    const auto& segments = out_.log->segments();
    SequenceNumber end = std::max(state.floor, empty_end_);
    if (!segments.empty()) end = segments.back()->next();
    if (clean_ && end < state.next) note_shortened(end);
    const SequenceNumber oldest = segments.empty() ? end : std::min(segments.front()->base(), end);
    out_.log->start_at(oldest);
    out_.log->set_visible(end);
    SequenceNumber next = std::max({end, state.floor, state.at_least, jump_to_});
    for (const Cursor& cursor : out_.cursors->load()) next = std::max(next, cursor.next);
    if (clean_) next = std::max(next, state.next);
    if (state.epoch < last_run_.epoch) next = std::max(next, state.bound);
    if (state_lost_ && power_cut() && !flush()) next = next + kJumpWithoutReservation;
    out_.next_at_least = next;
    find_unsynced(end);
  }

  /// An orderly stop left more than is there now: the end of the log was damaged since.
  void note_shortened(SequenceNumber end) {
    const auto& segments = out_.log->segments();
    if (segments.empty()) {
      log::error("All messages of a stream are gone.",
                 {{"stream", stored_.definition.name},
                  {"first_lost", end.value()},
                  {"last_lost", out_.state.next.value() - 1}});
      return;
    }
    const Segment& last = *segments.back();
    out_.log->report_loss(last, {last.end_offset(), 0, end, out_.state.next});
    out_.seal_last = true;
  }

  /// After a power cut everything that can be read is durable: it was read from the disk. While
  /// the kernel ran on, the page cache may hold more than the disk.
  void find_unsynced(SequenceNumber end) {
    if (clean_ || (last_run_.kernel_restarted && last_run_.restart_certain)) {
      out_.log->set_durable(end);
      return;
    }
    for (const auto& segment : out_.log->segments()) {
      if (segment->next() > out_.state.durable || segment == out_.log->segments().back()) {
        out_.unsynced.push_back(segment);
      }
    }
    if (!flush()) {
      out_.log->set_durable(std::clamp(out_.state.durable, out_.log->oldest(), end));
      return;
    }
    // Readers of this stream see only what is durable, so make it durable first.
    auto synced = disk_.sync_directory(directory_);
    if (synced && !state_lost_) {
      synced = StateKeeper::sync(disk_, layout::join(directory_, layout::kStreamState));
    }
    for (const auto& segment : out_.unsynced) {
      if (!synced) break;
      const auto file = disk_.open(segment->path(), file::OpenMode::kReadWrite);
      synced = file ? (*file)->sync() : Result<void>(fail(file.error()));
    }
    if (!synced && out_.fault.empty()) {
      out_.fault = "its messages could not be synced: " + synced.error().what;
      log::error("A stream can only be read until the next start.",
                 {{"stream", stored_.definition.name}, {"error", out_.fault}});
    }
    out_.unsynced.clear();
    if (synced) out_.log->set_durable(end);
  }

  file::FileSystem& disk_;
  const std::string directory_;
  const StoredDefinition& stored_;
  const LastRun& last_run_;
  const std::shared_ptr<Log::Shared> shared_;
  RecoveredStream out_;
  std::vector<Found> found_;
  bool clean_ = false;
  bool state_lost_ = false;
  bool floor_synced_ = false;
  std::uint64_t unreadable_bytes_ = 0;
  SequenceNumber jump_to_;
  SequenceNumber empty_end_;
};

}  // namespace

Result<RecoveredStream> recover_stream(file::FileSystem& disk, const std::string& directory,
                                       const StoredDefinition& stored, const LastRun& last_run,
                                       std::shared_ptr<Log::Shared> shared) {
  return Recovery(disk, directory, stored, last_run, std::move(shared)).run();
}

}  // namespace weir::stream
