#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The only door to stored bytes. Production: `PosixFileSystem` for the disk, `MemoryFileSystem`
/// for Memory streams; tests put `FaultyFileSystem` over either.
namespace weir::file {

/// An open file; closed when destroyed. Threads: `read_at` and `try_read_at` may run on any number
/// of threads beside one thread that writes, syncs or truncates.
class File {
 public:
  virtual ~File() = default;

  /// Reads at `offset` until `into` is full or the file ends; returns how many bytes. Blocks.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) = 0;

  /// The same without waiting for the disk: none when it would have to (`RWF_NOWAIT`); a result
  /// shorter than `into` may also mean that the rest is not cached.
  virtual Result<std::optional<std::size_t>> try_read_at(std::uint64_t offset,
                                                         MutableBytes into) = 0;

  /// Writes `pieces` one behind the other at `offset`, all of them or an error; after an error any
  /// part may have been written. To the page cache only. Blocks when the kernel throttles.
  virtual Result<void> write_at(std::uint64_t offset, std::span<const Bytes> pieces) = 0;

  /// Returns when content and size are on stable storage (`fdatasync`). Blocks. After an error the
  /// state of everything unsynced is unknown: never call again, never trust the page cache
  /// (reliability.md 2.1).
  virtual Result<void> sync() = 0;

  /// Sets aside room on the disk for bytes [offset, offset + bytes), beyond the end too, without
  /// changing size or content: many writes then find it instead of asking for it piece by piece.
  /// `truncate` gives back what lies behind the end. A hint: where it cannot be done, nothing
  /// happens.
  virtual void reserve(std::uint64_t offset, std::uint64_t bytes) {
    static_cast<void>(offset);
    static_cast<void>(bytes);
  }

  /// Says that bytes [offset, offset + bytes), which exist, will soon be written again in small
  /// pieces, so that each costs a copy and no system call. Replaces what was said before; 0 bytes:
  /// no longer. Holds some memory and address space meanwhile. A hint, as above.
  virtual void expect_small_writes(std::uint64_t offset, std::uint64_t bytes) {
    static_cast<void>(offset);
    static_cast<void>(bytes);
  }

  virtual Result<void> truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() const = 0;
};

enum class OpenMode : std::uint8_t {
  kRead,       ///< must exist
  kReadWrite,  ///< must exist
  kCreateNew,  ///< must not exist; mode 0600
};

enum class EntryKind : std::uint8_t { kFile, kDirectory, kOther };
struct Entry {
  std::string name;
  EntryKind kind = EntryKind::kOther;
};

struct Space {
  std::uint64_t free_bytes = 0;  ///< for this process's user
  std::uint64_t total_bytes = 0;
};

/// Held until destroyed; released by the kernel when the process dies.
class Lock {
 public:
  virtual ~Lock() = default;
};

/// A tree of files. Paths are relative to its root, separated by '/', without "..", and "" is the
/// root itself. Symbolic links are not followed in the last component. Threads: any.
/// Errors carry `os_errno`; ENOENT is `Errc::kNotFound`, EEXIST `kAlreadyExists`, others `kIo`.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) = 0;
  virtual Result<void> make_directory(std::string_view path) = 0;  ///< mode 0700
  virtual Result<void> remove_file(std::string_view path) = 0;
  virtual Result<void> remove_directory(std::string_view path) = 0;  ///< must be empty
  /// Replaces `to` if it is a file; a directory must not exist yet.
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  /// Makes creations, renames and removals in this directory durable.
  virtual Result<void> sync_directory(std::string_view path) = 0;
  /// Makes everything durable that was written or named before the call, in all files and
  /// directories: one wait instead of one for each of many files. It waits for other programs'
  /// data on the same disk too.
  ///
  /// Errors: kUnsupported (this file system or kernel cannot, or would not tell of a failed write:
  /// sync one by one), kIo (something was not written; syncing one by one tells what). Blocks.
  virtual Result<void> sync_all() = 0;
  /// Names in a directory, in no order, without "." and "..".
  virtual Result<std::vector<Entry>> list(std::string_view path) = 0;
  virtual Result<Space> space() = 0;
  /// Creates `path` if needed and locks it; kUnavailable if another process (or another caller in
  /// this one) holds it.
  virtual Result<std::unique_ptr<Lock>> lock(std::string_view path) = 0;
};

/// The whole content of a small file; kInvalidArgument above `bytes_max`. Blocks.
Result<ByteVector> read_file(FileSystem& files, std::string_view path, std::size_t bytes_max);

/// Replaces `path` by `content` so that after a crash it is wholly old or wholly new: temporary
/// file `<path>.tmp`, sync, rename, sync of the directory. Durable on return. Blocks.
Result<void> replace_file(FileSystem& files, std::string_view path, Bytes content);

/// Removes everything below `path` and `path` itself, without following links. Blocks.
Result<void> remove_tree(FileSystem& files, std::string_view path);

}  // namespace weir::file
