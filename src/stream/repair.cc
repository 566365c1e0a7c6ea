#include "stream/repair.h"

#include "base/executor.h"
#include "base/metrics.h"
#include "segment/segment.h"
#include "stream/aside.h"
#include "stream/catalog.h"
#include "stream/cursor_files.h"
#include "stream/definition_file.h"
#include "stream/layout.h"
#include "stream/names_file.h"
#include "stream/state_keeper.h"
#include "stream/store.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace weir::stream {
namespace {

using Say = std::function<void(const std::string&)>;

constexpr std::size_t kGroupBytes = std::size_t{4} * 1024 * 1024;
constexpr std::uint64_t kWholeFile = std::numeric_limits<std::uint64_t>::max() / 2;
/// Of a definition that had to be guessed: never so small that messages had to go.
constexpr std::int64_t kRoomMin = model::kMaxSizeDefault;
constexpr const char* kPieceSuffix = ".tmp";  // a start removes what was not finished

std::string counted(std::int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string range_text(SequenceNumber first, SequenceNumber after) {
  if (after.value() - first.value() == 1) return "message " + std::to_string(first.value());
  return "messages " + std::to_string(first.value()) + " to " + std::to_string(after.value() - 1);
}

// --- a start and an orderly stop ----------------------------------------------------------------

class Queue final : public Executor {
 public:
  void post(std::function<void()> work) override { work_.push_back(std::move(work)); }
  bool run_once() {
    if (work_.empty()) return false;
    const auto work = std::move(work_.front());
    work_.pop_front();
    work();
    return true;
  }

 private:
  std::deque<std::function<void()>> work_;
};

class Nobody final : public Observer, public AppendSink {
 public:
  void stream_opened(Stream&) override {}
  void stream_updated(Stream&) override {}
  void stream_removed(StreamId, const std::string&) override {}
  void visible_moved(Stream&) override {}
  void durable_moved(Stream&) override {}
  void append_done(std::uint64_t, const Result<SequenceNumber>&) override {}
};

/// Recovers every stream as any start does, and stops in order. Returns what could not be opened.
Result<std::vector<UnavailableStream>> start_and_stop(file::FileSystem& disk, Clock& clock,
                                                      const std::string& boot_id) {
  metrics::Registry metrics;
  Queue core;
  Nobody nobody;
  Options options;
  options.min_free_bytes = 0;
  // Nothing that an earlier run set aside has to make room now.
  options.quarantine_bytes_max = std::numeric_limits<std::int64_t>::max() / 4;
  WEIR_TRY(auto catalog, Catalog::open(options, {disk, clock, metrics, core, nobody, nobody,
                                                 boot_id, 1, false, nullptr}));
  std::vector<UnavailableStream> left = catalog->unavailable();
  catalog->close();
  while (core.run_once() || catalog->run_syncer_once()) {
  }
  return left;
}

// --- segments -----------------------------------------------------------------------------------

/// Writes the records of `from` with numbers in [first, after) as a segment of their own. Complete
/// and durable on return, under a name that no start takes for a segment.
Result<void> write_piece(file::FileSystem& disk, file::File& from, std::uint32_t seed,
                         const segment::Header& old, SequenceNumber first, SequenceNumber after,
                         const std::string& path) {
  auto removed = disk.remove_file(path);
  if (!removed && removed.error().code != Errc::kNotFound) return removed;
  segment::Header header = old;
  header.base = first;
  WEIR_TRY(auto writer, segment::Writer::create(disk, path, header));
  std::vector<ByteVector> payloads;
  std::vector<segment::Writer::Entry> group;
  std::size_t group_bytes = 0;
  const auto flush = [&]() -> Result<void> {
    for (std::size_t i = 0; i < group.size(); ++i) group[i].payload = payloads[i];
    if (!group.empty()) WEIR_RETURN_IF_ERROR(writer.append(group));
    group.clear();
    payloads.clear();
    group_bytes = 0;
    return {};
  };
  const auto take = [&](const segment::RecordPlace& place) -> Result<void> {
    if (place.sequence < first || place.sequence >= after) return {};
    ByteVector payload(static_cast<std::size_t>(place.payload_bytes));
    WEIR_TRY(const std::size_t got, from.read_at(place.payload_offset, payload));
    if (got != payload.size()) return fail(Errc::kIo, "the segment became shorter");
    group_bytes += payload.size();
    payloads.push_back(std::move(payload));
    group.push_back({place.append_ms, {}});
    return group_bytes >= kGroupBytes ? flush() : Result<void>();
  };
  WEIR_TRY(const auto scanned, segment::scan_as(from, old, seed, take));
  static_cast<void>(scanned);
  WEIR_RETURN_IF_ERROR(flush());
  WEIR_RETURN_IF_ERROR(writer.cut_zeros());
  return writer.sync();
}

/// One store under repair.
class Repair {
 public:
  Repair(file::FileSystem& disk, Clock& clock, std::string boot_id, const Say& say)
      : disk_(disk), clock_(clock), boot_id_(std::move(boot_id)), say_(say), aside_(disk) {}

  Result<RepairReport> run() {
    RepairReport report;
    WEIR_TRY(report.before, check_store(disk_));
    WEIR_RETURN_IF_ERROR(locked([&] { return prepare(report.before); }));
    WEIR_TRY(const auto left, recover());
    WEIR_RETURN_IF_ERROR(locked([&] { return clean_up(left); }));
    if (changed_since_start_) {
      WEIR_TRY(const auto still_left, recover());
      static_cast<void>(still_left);
    }
    WEIR_TRY(report.after, check_store(disk_));
    report.changes = changes_;
    report.quarantine = aside_.directory();
    return report;
  }

 private:
  void done(const std::string& what) {
    ++changes_;
    changed_since_start_ = true;
    say_(what);
  }

  /// Each part holds the lock itself, because a start takes it too. Whoever comes in between finds
  /// a store in order.
  template <class Work>
  Result<void> locked(const Work& work) {
    auto lock = disk_.lock(layout::kLock);
    if (!lock && lock.error().code == Errc::kUnavailable) {
      return fail(Errc::kUnavailable,
                  "a running weir uses this store; stop it first (systemctl stop weir)");
    }
    if (!lock) return fail(with_context("lock the store", std::move(lock).error()));
    return work();
  }

  Result<std::vector<UnavailableStream>> recover() {
    auto left = start_and_stop(disk_, clock_, boot_id_);
    if (!left) return fail(with_context("recover the store", std::move(left).error()));
    changed_since_start_ = false;
    return left;
  }

  // What a start would cut off, write over or could not use is set aside, and mended where it can
  // be.

  Result<void> prepare(const StoreReport& report) {
    WEIR_TRY(const auto names, disk_.list(""));
    for (const file::Entry& entry : names) {
      const bool ours = entry.name == layout::kFormat || entry.name == layout::kStoreState ||
                        entry.name == layout::kNames;
      if (ours && entry.kind != file::EntryKind::kFile) WEIR_RETURN_IF_ERROR(move(entry.name));
    }
    for (const FileReport* const file : {&report.format, &report.state}) {
      WEIR_RETURN_IF_ERROR(keep_bad(*file));
    }
    for (const StreamReport& stream : report.streams) {
      WEIR_RETURN_IF_ERROR(prepare_stream(stream));
    }
    return {};
  }

  Result<void> move(const std::string& path) {
    auto to = aside_.move(path);
    if (!to) return fail(with_context("set aside " + path, std::move(to).error()));
    done(path + " moved to " + *to);
    return {};
  }

  /// A small file that a start writes again.
  Result<void> keep_bad(const FileReport& file) {
    if (file.verdict < Verdict::kDamaged || file.file_bytes == 0) return {};
    auto to = aside_.copy(file.path, 0, kWholeFile);
    if (!to && to.error().code == Errc::kNotFound) return {};
    if (!to) return fail(with_context("set aside " + file.path, std::move(to).error()));
    done(file.path + " was damaged and is written again; the old one is in " + *to);
    return {};
  }

  Result<void> prepare_stream(const StreamReport& stream) {
    WEIR_TRY(const auto entries, disk_.list(stream.directory));
    for (const file::Entry& entry : entries) {
      const std::string path = layout::join(stream.directory, entry.name);
      const bool ours = layout::segment_base_from(entry.name) ||
                        entry.name == layout::kDefinition || entry.name == layout::kStreamState ||
                        entry.name == layout::kDefinitionBefore;
      const bool is_file = entry.kind == file::EntryKind::kFile;
      const bool leftover = is_file && entry.name.ends_with(".tmp");
      if ((ours && !is_file) || leftover) WEIR_RETURN_IF_ERROR(move(path));
    }
    for (const FileReport& file : stream.segments) {
      if (file.verdict == Verdict::kTorn) WEIR_RETURN_IF_ERROR(keep_tail(file));
      const bool empty = file.verdict == Verdict::kUnreadable &&
                         file.file_bytes <= segment::kHeaderBytes && is_file(entries, file.path);
      if (empty) WEIR_RETURN_IF_ERROR(move(file.path));
    }
    WEIR_TRY(const bool defined, mend_definition(stream));
    if (!defined) return {};
    WEIR_RETURN_IF_ERROR(keep_bad(stream.state));
    for (const FileReport& file : stream.segments) {
      if (file.verdict == Verdict::kUnreadable) WEIR_RETURN_IF_ERROR(mend_header(stream, file));
    }
    return {};
  }

  static bool is_file(const std::vector<file::Entry>& entries, const std::string& path) {
    return std::any_of(entries.begin(), entries.end(), [&](const file::Entry& entry) {
      return entry.kind == file::EntryKind::kFile && path.ends_with("/" + entry.name);
    });
  }

  Result<void> keep_tail(const FileReport& file) {
    auto to = aside_.copy(file.path, file.valid_end, file.file_bytes - file.valid_end);
    if (!to) return fail(with_context("set aside the end of " + file.path, to.error()));
    done(file.path + ": an unfinished write of " +
         std::to_string(file.file_bytes - file.valid_end) + " bytes is cut off; kept in " + *to);
    return {};
  }

  /// False: the stream had to go, as a whole.
  Result<bool> mend_definition(const StreamReport& stream) {
    auto loaded = load_definition(disk_, stream.directory);
    const std::string path = layout::join(stream.directory, layout::kDefinition);
    if (loaded && loaded->stored.id == stream.id) {
      if (!loaded->from_previous) return true;
      WEIR_RETURN_IF_ERROR(keep_bad(stream.definition));
      WEIR_RETURN_IF_ERROR(
          file::replace_file(disk_, path, as_bytes(encode_definition(loaded->stored))));
      done(path + ": the version before it is in force now");
      WEIR_RETURN_IF_ERROR(set_unknown_cursors_aside(stream, loaded->stored.definition));
      return true;
    }
    auto guessed = guess_definition(stream);
    if (loaded || !guessed) {
      WEIR_RETURN_IF_ERROR(move(stream.directory));
      return false;
    }
    WEIR_RETURN_IF_ERROR(keep_bad(stream.definition));
    WEIR_RETURN_IF_ERROR(file::replace_file(disk_, path, as_bytes(encode_definition(*guessed))));
    done(path + ": no version of it could be read; stream '" + guessed->definition.name +
         "' has its messages and its name again, the defaults, and no exports: define those again");
    WEIR_RETURN_IF_ERROR(set_unknown_cursors_aside(stream, guessed->definition));
    return true;
  }

  /// The name is noted outside of the directory, the identity stands in every segment.
  std::optional<StoredDefinition> guess_definition(const StreamReport& stream) {
    const auto names = NamesFile(disk_).load();
    const auto known = names.find(stream.id);
    if (known == names.end()) return std::nullopt;
    StoredDefinition stored;
    stored.id = stream.id;
    stored.definition.name = known->second;
    std::int64_t bytes = 0;
    bool any = false;
    for (const FileReport& file : stream.segments) {
      bytes += static_cast<std::int64_t>(file.file_bytes);
      const auto content = disk_.open(file.path, file::OpenMode::kRead);
      std::array<std::byte, segment::kHeaderBytes> head{};
      const auto got = content ? (*content)->read_at(0, head) : Result<std::size_t>(0);
      const auto header = segment::decode_header(Bytes(head).first(got.value_or(0)));
      if (!header || any) continue;
      stored.identity = header->stream_identity;
      any = true;
    }
    if (!any) return std::nullopt;
    stored.definition.max_size = std::max(kRoomMin, 2 * bytes);
    return stored;
  }

  /// Positions of exports that the definition in force does not know would be forgotten.
  Result<void> set_unknown_cursors_aside(const StreamReport& stream,
                                         const model::StreamDefinition& definition) {
    for (const FileReport& file : stream.cursors) {
      const auto content = read_slots(disk_, file.path, kCursorSlotBytes);
      const auto cursor = content ? decode_cursor(content->payload) : std::nullopt;
      if (!cursor) continue;
      const bool known =
          std::any_of(definition.exports.begin(), definition.exports.end(),
                      [&](const auto& each) { return each.identifier == cursor->identifier; });
      if (known) continue;
      auto to = aside_.copy(file.path, 0, kWholeFile);
      if (!to) return fail(with_context("set aside " + file.path, to.error()));
      done("the position of export '" + cursor->identifier + "' (next message " +
           std::to_string(cursor->next.value()) + ") is kept in " + *to);
    }
    return {};
  }

  /// A segment whose header is damaged: its records tell what stood there.
  Result<void> mend_header(const StreamReport& stream, const FileReport& file) {
    WEIR_TRY(const auto loaded, load_definition(disk_, stream.directory));
    const auto content = disk_.open(file.path, file::OpenMode::kRead);
    if (!content || file.file_bytes <= segment::kHeaderBytes) return {};
    std::array<std::byte, segment::kHeaderBytes> head{};
    const auto got = (*content)->read_at(0, head);
    // A sound header says that it is another stream's or a newer weir's.
    if (!got || segment::decode_header(Bytes(head).first(*got))) return {};
    const auto seed = segment::find_seed(**content, file.base);
    if (!seed) return {};
    segment::Header header{loaded.stored.identity, file.base, 0};
    WEIR_TRY(const auto scanned,
             segment::scan_as(**content, header, *seed, [&](const segment::RecordPlace& place) {
               if (header.created_ms == 0) header.created_ms = place.append_ms;
               return Result<void>();
             }));
    // Only up to the first damage: the rest is mended once the header is.
    const SequenceNumber end =
        scanned.holes.empty() ? scanned.next : scanned.holes.front().first_lost;
    auto kept = aside_.copy(file.path, 0, kWholeFile);
    if (!kept) return fail(with_context("set aside " + file.path, kept.error()));
    const std::string piece = file.path + kPieceSuffix;
    WEIR_RETURN_IF_ERROR(write_piece(disk_, **content, *seed, header, file.base, end, piece));
    WEIR_RETURN_IF_ERROR(disk_.rename(piece, file.path));
    WEIR_RETURN_IF_ERROR(disk_.sync_directory(stream.directory));
    done(file.path + ": its header was damaged and is written again, " +
         counted(end - file.base, "message") + " saved; the old file is in " + *kept);
    return {};
  }

  // What recovery went around: damage inside of segments is cut out, so that it is no damage any
  // more, and what it renamed goes to the quarantine.

  Result<void> clean_up(const std::vector<UnavailableStream>& left) {
    for (const UnavailableStream& stream : left) {
      say_("stream in " + layout::stream_directory(stream.id) + " cannot be opened: " + stream.why);
      WEIR_RETURN_IF_ERROR(move(layout::stream_directory(stream.id)));
    }
    WEIR_TRY(const StoreReport report, check_in_hand());
    for (const StreamReport& stream : report.streams) {
      for (const std::string& path : stream.unknown) {
        if (path.find(".bad") != std::string::npos) WEIR_RETURN_IF_ERROR(move(path));
      }
      WEIR_RETURN_IF_ERROR(mend_cursors(stream));
      WEIR_RETURN_IF_ERROR(cut_out_damage(stream));
    }
    WEIR_TRY(const auto names, disk_.list(""));
    for (const file::Entry& entry : names) {
      if (entry.name.find(".bad") != std::string::npos) WEIR_RETURN_IF_ERROR(move(entry.name));
    }
    return {};
  }

  /// The lock is ours meanwhile, which a check takes for somebody else's.
  Result<StoreReport> check_in_hand() { return check_store(disk_); }

  /// A position with one damaged version of two is written again.
  Result<void> mend_cursors(const StreamReport& stream) {
    const bool any =
        std::any_of(stream.cursors.begin(), stream.cursors.end(),
                    [](const FileReport& file) { return file.verdict != Verdict::kSound; });
    if (!any) return {};
    CursorFiles files(disk_, stream.directory);
    files.open();
    for (const Cursor& cursor : files.load()) {
      WEIR_RETURN_IF_ERROR(files.save(cursor));
      WEIR_RETURN_IF_ERROR(files.save(cursor));
    }
    done(stream.directory + ": positions of exports are written again");
    return {};
  }

  Result<void> cut_out_damage(const StreamReport& stream) {
    std::vector<Jump> gaps;
    for (const FileReport& file : stream.segments) {
      for (const segment::Hole& hole : file.lost) {
        gaps.push_back({hole.first_lost, hole.first_after});
      }
    }
    if (gaps.empty()) return {};
    // The gaps first: a segment that ends early is sound once they are known.
    const std::string path = layout::join(stream.directory, layout::kStreamState);
    WEIR_TRY(const auto slot, read_slots(disk_, path, kStateSlotBytes));
    auto state = decode_stream_state(slot.payload);
    if (!state) return fail(Errc::kCorrupt, path + " is not a state");
    for (const Jump& gap : gaps) {
      if (std::find(state->jumps.begin(), state->jumps.end(), gap) == state->jumps.end()) {
        state->jumps.push_back(gap);
      }
    }
    std::sort(state->jumps.begin(), state->jumps.end(),
              [](const Jump& a, const Jump& b) { return a.to < b.to; });
    state->at_least = std::max(state->at_least, state->next);
    state->last_base = SequenceNumber(-1);  // the start looks where the newest segment ends
    state->next = SequenceNumber(0);
    StateKeeper keeper(disk_, path, *state, slot, true);
    WEIR_TRY(const std::uint64_t generation, keeper.write());
    WEIR_RETURN_IF_ERROR(StateKeeper::sync(disk_, path));
    keeper.synced(generation);
    for (const FileReport& file : stream.segments) {
      if (!file.lost.empty()) WEIR_RETURN_IF_ERROR(cut_segment(stream, file));
    }
    if (gaps.size() + slot_jumps(slot) > kJumpsMax) {
      say_(stream.directory +
           ": more gaps than can be noted; a check goes on calling the oldest "
           "ones lost");
    }
    return {};
  }

  static std::size_t slot_jumps(const SlotContent& slot) {
    const auto state = decode_stream_state(slot.payload);
    return state ? state->jumps.size() : 0;
  }

  /// What stands behind each hole becomes a segment of its own; then the file ends at its first
  /// hole. Cut off in between, the same again does no harm.
  Result<void> cut_segment(const StreamReport& stream, const FileReport& file) {
    WEIR_TRY(const auto content, disk_.open(file.path, file::OpenMode::kReadWrite));
    std::array<std::byte, segment::kHeaderBytes> head{};
    WEIR_TRY(const std::size_t got, content->read_at(0, head));
    WEIR_TRY(const auto header, segment::decode_header(Bytes(head).first(got)));
    const std::uint32_t seed = segment::record_seed(header);
    for (std::size_t i = 0; i < file.lost.size(); ++i) {
      const segment::Hole& hole = file.lost[i];
      const std::uint64_t bytes = hole.bytes;
      std::string kept = "nothing is left there";
      if (bytes > 0) {
        auto to = aside_.copy(file.path, hole.offset, bytes);
        if (!to) return fail(with_context("set aside part of " + file.path, to.error()));
        kept = "the damaged bytes are in " + *to;
      }
      const bool one = hole.first_after - hole.first_lost == 1;
      done(file.path + ": " + range_text(hole.first_lost, hole.first_after) +
           (one ? " is lost; " : " are lost; ") + kept);
      const SequenceNumber end = i + 1 < file.lost.size() ? file.lost[i + 1].first_lost : file.next;
      if (hole.first_after >= end) continue;  // the file ended too early; nothing stands behind
      const std::string place =
          layout::join(stream.directory, layout::segment_name(hole.first_after));
      WEIR_RETURN_IF_ERROR(
          write_piece(disk_, *content, seed, header, hole.first_after, end, place + kPieceSuffix));
      WEIR_RETURN_IF_ERROR(disk_.rename(place + kPieceSuffix, place));
      WEIR_RETURN_IF_ERROR(disk_.sync_directory(stream.directory));
    }
    if (file.lost.front().offset <= segment::kHeaderBytes) return move(file.path);
    WEIR_RETURN_IF_ERROR(content->truncate(file.lost.front().offset));
    return content->sync();
  }

  file::FileSystem& disk_;
  Clock& clock_;
  const std::string boot_id_;
  const Say& say_;
  Aside aside_;
  std::int64_t changes_ = 0;
  bool changed_since_start_ = false;
};

}  // namespace

Result<RepairReport> repair_store(file::FileSystem& disk, Clock& clock, const std::string& boot_id,
                                  const std::function<void(const std::string&)>& say) {
  return Repair(disk, clock, boot_id, say).run();
}

}  // namespace weir::stream
