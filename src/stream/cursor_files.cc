#include "stream/cursor_files.h"

#include "base/log.h"
#include "stream/layout.h"

#include <algorithm>
#include <utility>

namespace weir::stream {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kErrorBytesMax = 1024;
constexpr std::size_t kFixedBytes = 4 + 4 + 5 * 8;
constexpr std::byte kPaused{1};

void add(ByteVector& to, std::uint64_t value) {
  to.resize(to.size() + sizeof value);
  store_little(to.data() + to.size() - sizeof value, value);
}

void add(ByteVector& to, std::int64_t value) { add(to, static_cast<std::uint64_t>(value)); }

void add(ByteVector& to, std::string_view text) {
  add(to, static_cast<std::uint64_t>(text.size()));
  const Bytes bytes = as_bytes(text);
  to.insert(to.end(), bytes.begin(), bytes.end());
}

std::optional<std::string> take_text(Bytes& from, std::size_t bytes_max) {
  if (from.size() < 8) return std::nullopt;
  const auto claimed = load_little<std::uint64_t>(from.data());
  from = from.subspan(8);
  if (claimed > bytes_max || claimed > from.size()) return std::nullopt;
  const auto size = static_cast<std::size_t>(claimed);
  std::string text(as_text(from.first(size)));
  from = from.subspan(size);
  return text;
}

ByteVector encode_note(const std::string& identifier, const std::string& note) {
  ByteVector to;
  add(to, std::string_view(identifier));
  add(to, std::string_view(note));
  return to;
}

Result<void> check_note(const std::string& note) {
  if (note.size() <= kNoteBytesMax) return {};
  return fail(Errc::kInvalidArgument, "a note of " + std::to_string(note.size()) +
                                          " bytes is longer than an export may have");
}

}  // namespace

ByteVector encode_cursor(const Cursor& cursor) {
  ByteVector to(8);
  store_little(to.data(), kVersion);
  store_little(to.data() + 4, static_cast<std::uint32_t>(cursor.type));
  add(to, cursor.next.value());
  add(to, cursor.start_sequence_number);
  add(to, cursor.exported_bytes);
  add(to, cursor.exported_messages);
  add(to, cursor.last_export_ms);
  add(to, std::string_view(cursor.identifier));
  add(to, std::string_view(cursor.error_message).substr(0, kErrorBytesMax));
  to.push_back(cursor.paused ? kPaused : std::byte{0});
  return to;
}

std::optional<Cursor> decode_cursor(Bytes from) {
  if (from.size() < kFixedBytes || load_little<std::uint32_t>(from.data()) != kVersion) {
    return std::nullopt;
  }
  const auto type = load_little<std::uint32_t>(from.data() + 4);
  if (type > static_cast<std::uint32_t>(model::ExportType::kMqtt)) return std::nullopt;
  Cursor cursor;
  cursor.type = static_cast<model::ExportType>(type);
  const auto integer = [&](std::size_t index) {
    return load_little<std::int64_t>(from.data() + 8 + index * 8);
  };
  cursor.next = SequenceNumber(integer(0));
  cursor.start_sequence_number = integer(1);
  cursor.exported_bytes = integer(2);
  cursor.exported_messages = integer(3);
  cursor.last_export_ms = integer(4);
  Bytes rest = from.subspan(kFixedBytes);
  auto identifier = take_text(rest, model::kNameBytesMax);
  auto error = take_text(rest, kErrorBytesMax);
  if (!identifier || !error || cursor.next.value() < 0) return std::nullopt;
  cursor.identifier = std::move(*identifier);
  cursor.error_message = std::move(*error);
  // Older versions ended here.
  cursor.paused = !rest.empty() && rest.front() == kPaused;
  return cursor;
}

CursorFiles::CursorFiles(file::FileSystem& disk, const std::string& stream_directory)
    : disk_(disk), directory_(layout::join(stream_directory, layout::kCursors)) {}

std::string CursorFiles::path(std::uint64_t number) const {
  return layout::join(directory_, layout::cursor_name(number));
}

void CursorFiles::open() {
  const auto entries = disk_.list(directory_);
  if (!entries) return;
  const MutexLock lock(mutex_);
  for (const file::Entry& entry : *entries) {
    if (const auto noted = layout::note_number_from(entry.name);
        noted && entry.kind == file::EntryKind::kFile) {
      open_note(*noted);
      continue;
    }
    const auto number = layout::cursor_number_from(entry.name);
    if (!number || entry.kind != file::EntryKind::kFile) continue;
    next_number_ = std::max(next_number_, *number + 1);
    const auto content = read_slots(disk_, path(*number), kCursorSlotBytes);
    auto cursor = content ? decode_cursor(content->payload) : std::nullopt;
    if (!cursor) {
      if (content || content.error().code == Errc::kCorrupt) set_aside(path(*number));
      continue;
    }
    const std::string identifier = cursor->identifier;
    // Two of one export: the older one was hidden or unreadable when the newer one was made.
    const auto other = saved_.find(identifier);
    if (other != saved_.end()) {
      const std::uint64_t older = std::min(*number, other->second->number);
      log::info("An outdated export position is removed.", {{"file", path(older)}});
      if (!disk_.remove_file(path(older))) log::debug("It stays.", {{"file", path(older)}});
      if (older == *number) continue;
    }
    saved_[identifier] = std::make_shared<Saved>(
        Saved{*number, std::move(*cursor), SlotWriter(kCursorSlotBytes, *content)});
  }
}

std::string CursorFiles::note_path(std::uint64_t number) const {
  return layout::join(directory_, layout::note_name(number));
}

/// A note that cannot be read is as good as none: what it helps to avoid may then happen twice.
void CursorFiles::open_note(std::uint64_t number) {
  next_number_ = std::max(next_number_, number + 1);
  const auto content = read_slots(disk_, note_path(number), kNoteSlotBytes);
  Bytes rest = content ? Bytes(content->payload) : Bytes();
  auto identifier = take_text(rest, model::kNameBytesMax);
  auto text = take_text(rest, kNoteBytesMax);
  if (!content || !identifier || !text) {
    log::warn("What an export had noted is unreadable; what it did last may be done again.",
              {{"file", note_path(number)}});
    if (!disk_.remove_file(note_path(number))) log::debug("An unreadable note stays.");
    return;
  }
  notes_[*identifier] = std::make_shared<SavedNote>(
      SavedNote{number, std::move(*text), SlotWriter(kNoteSlotBytes, *content)});
}

void CursorFiles::hide_unknown(const model::StreamDefinition& definition) {
  const MutexLock lock(mutex_);
  std::erase_if(saved_, [&](const auto& one) {
    return std::none_of(definition.exports.begin(), definition.exports.end(),
                        [&](const auto& config) { return config.identifier == one.first; });
  });
}

/// Damaged in both slots, or its creation was cut off by a crash before it was ever confirmed.
void CursorFiles::set_aside(const std::string& file) {
  const auto content = file::read_file(disk_, file, 2 * kCursorSlotBytes);
  const bool blank = content && std::all_of(content->begin(), content->end(),
                                            [](std::byte b) { return b == std::byte{0}; });
  if (blank) {
    if (!disk_.remove_file(file)) log::debug("An empty cursor file stays.", {{"file", file}});
    return;
  }
  ++unreadable_;
  log::error(
      "A saved export position is unreadable; that export starts over at the oldest "
      "message. The file is kept.",
      {{"file", file + ".bad"}});
  if (!disk_.rename(file, file + ".bad")) {
    log::warn("It could not be renamed.", {{"file", file}});
  }
}

std::vector<Cursor> CursorFiles::load() {
  const MutexLock lock(mutex_);
  std::vector<Cursor> cursors;
  for (const auto& [identifier, saved] : saved_) cursors.push_back(saved->cursor);
  return cursors;
}

Result<void> CursorFiles::save(const Cursor& cursor) {
  if (deleted_.load()) return fail(Errc::kNotFound, "the stream was deleted");
  std::shared_ptr<Saved> saved;
  {
    const MutexLock lock(mutex_);
    const auto at = saved_.find(cursor.identifier);
    if (at != saved_.end()) saved = at->second;
  }
  if (!saved) return create(cursor);
  // One caller at a time per identifier, so the slots are ours; the copy for `load` is not.
  WEIR_RETURN_IF_ERROR(write(path(saved->number), saved->slots, encode_cursor(cursor)));
  const MutexLock lock(mutex_);
  saved->cursor = cursor;
  return {};
}

Result<void> CursorFiles::write(const std::string& file_path, SlotWriter& slots, Bytes payload) {
  WEIR_TRY(const auto file, disk_.open(file_path, file::OpenMode::kReadWrite));
  WEIR_TRY(const std::uint64_t generation, slots.write(*file, payload));
  WEIR_RETURN_IF_ERROR(file->sync());
  slots.synced(generation);
  return {};
}

Result<void> CursorFiles::create(const Cursor& cursor) {
  const std::uint64_t number = take_number();
  WEIR_TRY(auto slots, create_file(path(number), kCursorSlotBytes, encode_cursor(cursor)));
  const MutexLock lock(mutex_);
  saved_[cursor.identifier] = std::make_shared<Saved>(Saved{number, cursor, slots});
  return {};
}

std::uint64_t CursorFiles::take_number() {
  const MutexLock lock(mutex_);
  return next_number_++;
}

Result<SlotWriter> CursorFiles::create_file(const std::string& file_path, std::size_t slot_bytes,
                                            Bytes payload) {
  WEIR_RETURN_IF_ERROR(make_directory());
  auto created = create_slots(disk_, file_path, slot_bytes, payload, true);
  if (created) created = disk_.sync_directory(directory_);
  if (!created) {
    if (!disk_.remove_file(file_path)) log::debug("Nothing partial to remove.");
    return fail(std::move(created).error());
  }
  SlotContent present;
  present.generation = 1;
  return SlotWriter(slot_bytes, present);
}

Result<void> CursorFiles::make_directory() {
  auto made = disk_.make_directory(directory_);
  if (!made && made.error().code != Errc::kAlreadyExists) return made;
  if (!made) return {};
  const std::string_view parent(directory_);
  return disk_.sync_directory(parent.substr(0, parent.rfind('/')));
}

std::string CursorFiles::note(const std::string& identifier) {
  const MutexLock lock(mutex_);
  const auto at = notes_.find(identifier);
  return at == notes_.end() ? std::string() : at->second->text;
}

Result<void> CursorFiles::save_note(const std::string& identifier, const std::string& note) {
  WEIR_RETURN_IF_ERROR(check_note(note));
  if (deleted_.load()) return fail(Errc::kNotFound, "the stream was deleted");
  if (note.empty()) return remove_note(identifier);
  std::shared_ptr<SavedNote> saved;
  {
    const MutexLock lock(mutex_);
    const auto at = notes_.find(identifier);
    if (at != notes_.end()) saved = at->second;
  }
  if (!saved) return create_note(identifier, note);
  WEIR_RETURN_IF_ERROR(
      write(note_path(saved->number), saved->slots, encode_note(identifier, note)));
  const MutexLock lock(mutex_);
  saved->text = note;
  return {};
}

Result<void> CursorFiles::create_note(const std::string& identifier, const std::string& note) {
  const std::uint64_t number = take_number();
  WEIR_TRY(auto slots,
           create_file(note_path(number), kNoteSlotBytes, encode_note(identifier, note)));
  const MutexLock lock(mutex_);
  notes_[identifier] = std::make_shared<SavedNote>(SavedNote{number, note, slots});
  return {};
}

Result<void> CursorFiles::remove_note(const std::string& identifier) {
  std::shared_ptr<SavedNote> saved;
  {
    const MutexLock lock(mutex_);
    const auto at = notes_.find(identifier);
    if (at == notes_.end()) return {};
    saved = at->second;
  }
  auto removed = disk_.remove_file(note_path(saved->number));
  if (!removed && removed.error().code != Errc::kNotFound) return removed;
  {
    const MutexLock lock(mutex_);
    notes_.erase(identifier);
  }
  return disk_.sync_directory(directory_);
}

Result<void> CursorFiles::remove(const std::string& identifier) {
  if (deleted_.load()) return fail(Errc::kNotFound, "the stream was deleted");
  WEIR_RETURN_IF_ERROR(remove_note(identifier));
  std::shared_ptr<Saved> saved;
  {
    const MutexLock lock(mutex_);
    const auto at = saved_.find(identifier);
    if (at == saved_.end()) return {};
    saved = at->second;
  }
  auto removed = disk_.remove_file(path(saved->number));
  if (!removed && removed.error().code != Errc::kNotFound) return removed;
  {
    const MutexLock lock(mutex_);
    saved_.erase(identifier);
  }
  return disk_.sync_directory(directory_);
}

std::vector<Cursor> CursorsInMemory::load() {
  const MutexLock lock(mutex_);
  std::vector<Cursor> cursors;
  for (const auto& [identifier, cursor] : saved_) cursors.push_back(cursor);
  return cursors;
}

Result<void> CursorsInMemory::save(const Cursor& cursor) {
  if (deleted_.load()) return fail(Errc::kNotFound, "the stream was deleted");
  const MutexLock lock(mutex_);
  saved_[cursor.identifier] = cursor;
  return {};
}

Result<void> CursorsInMemory::remove(const std::string& identifier) {
  const MutexLock lock(mutex_);
  saved_.erase(identifier);
  notes_.erase(identifier);
  return {};
}

std::string CursorsInMemory::note(const std::string& identifier) {
  const MutexLock lock(mutex_);
  const auto at = notes_.find(identifier);
  return at == notes_.end() ? std::string() : at->second;
}

Result<void> CursorsInMemory::save_note(const std::string& identifier, const std::string& note) {
  WEIR_RETURN_IF_ERROR(check_note(note));
  if (deleted_.load()) return fail(Errc::kNotFound, "the stream was deleted");
  const MutexLock lock(mutex_);
  notes_[identifier] = note;
  return {};
}

}  // namespace weir::stream
