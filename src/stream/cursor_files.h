#pragma once

#include "base/mutex.h"
#include "file/file_system.h"
#include "stream/slot_file.h"
#include "stream/stream.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::stream {

/// Two slots of this size hold a cursor: an identifier and an error text fit with room to spare.
inline constexpr std::size_t kCursorSlotBytes = 2048;
/// And of this size a note with the identifier it belongs to.
inline constexpr std::size_t kNoteSlotBytes = 4096;

ByteVector encode_cursor(const Cursor& cursor);
std::optional<Cursor> decode_cursor(Bytes from);

/// The cursors of a File stream, one file each in its directory. Threads: any.
class CursorFiles final : public CursorStore {
 public:
  CursorFiles(file::FileSystem& disk, const std::string& stream_directory);

  std::vector<Cursor> load() override;
  Result<void> save(const Cursor& cursor) override;
  Result<void> remove(const std::string& identifier) override;
  std::string note(const std::string& identifier) override;
  Result<void> save_note(const std::string& identifier, const std::string& note) override;

  /// Reads what is there; before anything else. Blocks.
  void open();
  /// The definition in force is an older one: positions of exports that it does not know are not
  /// shown any more, and stay on the disk for a start that can read the newer one.
  void hide_unknown(const model::StreamDefinition& definition);
  /// How many files are damaged in both slots.
  [[nodiscard]] std::int64_t unreadable() const { return unreadable_; }
  /// The stream is gone: everything fails with kNotFound from now on.
  void mark_deleted() { deleted_.store(true); }

 private:
  struct Saved {
    std::uint64_t number = 0;  ///< of the file
    Cursor cursor;
    SlotWriter slots;
  };
  struct SavedNote {
    std::uint64_t number = 0;  ///< of the file
    std::string text;
    SlotWriter slots;
  };
  [[nodiscard]] std::string path(std::uint64_t number) const;
  [[nodiscard]] std::string note_path(std::uint64_t number) const;
  void open_note(std::uint64_t number) WEIR_REQUIRES(mutex_);
  Result<void> make_directory();
  Result<void> create_note(const std::string& identifier, const std::string& note);
  Result<void> remove_note(const std::string& identifier);
  void set_aside(const std::string& file);
  Result<void> create(const Cursor& cursor);
  [[nodiscard]] std::uint64_t take_number();
  /// Durable with its name, or not there.
  Result<SlotWriter> create_file(const std::string& file_path, std::size_t slot_bytes,
                                 Bytes payload);
  Result<void> write(const std::string& file_path, SlotWriter& slots, Bytes payload);

  file::FileSystem& disk_;
  const std::string directory_;
  std::atomic<bool> deleted_{false};
  std::int64_t unreadable_ = 0;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Saved>> saved_ WEIR_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<SavedNote>> notes_ WEIR_GUARDED_BY(mutex_);
  std::uint64_t next_number_ WEIR_GUARDED_BY(mutex_) = 1;
};

/// The cursors of a Memory stream. Threads: any.
class CursorsInMemory final : public CursorStore {
 public:
  std::vector<Cursor> load() override;
  Result<void> save(const Cursor& cursor) override;
  Result<void> remove(const std::string& identifier) override;
  std::string note(const std::string& identifier) override;
  Result<void> save_note(const std::string& identifier, const std::string& note) override;
  void mark_deleted() { deleted_.store(true); }

 private:
  std::atomic<bool> deleted_{false};
  Mutex mutex_;
  std::map<std::string, Cursor> saved_ WEIR_GUARDED_BY(mutex_);
  std::map<std::string, std::string> notes_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::stream
