#pragma once

#include "file/file_system.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::file {

/// The calls that can be counted and made to fail.
enum class Call : std::uint8_t {
  kOpen,  ///< an existing file
  kCreate,
  kRead,  ///< `read_at` and `try_read_at`
  kWrite,
  kSync,
  kTruncate,
  kSize,
  kMakeDirectory,
  kRemoveFile,
  kRemoveDirectory,
  kRename,
  kSyncDirectory,
  kSyncAll,
  kList,
  kSpace,
  kLock,
};
inline constexpr std::size_t kCalls = 16;

/// A disk in memory that may do everything a real one may (reliability.md 6.1), for tests.
///
/// Every file has durable content and a list of unsynced writes and truncations; every directory
/// has durable entries and a list of unsynced creations, renames and removals. `crash` keeps what
/// a power cut might: each 512-byte sector as it was at some moment since the last sync, the size
/// as it was at some other moment (so new size with old data, or zeros), and any subset of the
/// directory operations. Without faults and crashes it is an ordinary file system.
///
/// Threads: any, one big lock. Everything is a pure function of the calls, the seeds and the
/// faults asked for.
class FaultyFileSystem final : public FileSystem {
 public:
  enum class Times : std::uint8_t { kOnce, kFromThenOn };

  explicit FaultyFileSystem(std::uint64_t seed = 1);
  ~FaultyFileSystem() override;

  // --- faults ------------------------------------------------------------------------------

  /// The `nth` call of this kind from now on (1 = the next) fails with `os_errno`. A failing
  /// write leaves a random part of its bytes behind. A failing sync *drops* the dirty data: part
  /// of it reached the disk, the rest never will, and later syncs report success.
  /// A failing `sync_all` does that to some of the files, and the next sync of each of those fails
  /// once, as Linux tells of it.
  void fail_call(Call call, std::uint64_t nth, int os_errno, Times times = Times::kOnce);
  /// Opening this file, or any file below this directory, fails with `os_errno`.
  void fail_open_below(std::string_view path, int os_errno);
  /// Reads return one flipped bit from now on, each with this probability.
  void flip_bits_on_read(double probability);
  /// Makes `try_read_at` answer "would have to wait" with this probability (default 0).
  void refuse_cached_reads(double probability);
  /// Content of all files together beyond which a write fails with ENOSPC; default: no limit.
  void set_capacity(std::uint64_t bytes);
  void clear_faults();

  /// How often a call was made since construction, failed ones included.
  [[nodiscard]] std::uint64_t calls(Call call) const;
  /// The calls that change something, syncs included: the possible crash points.
  [[nodiscard]] std::uint64_t changes() const;

  // --- crashes -----------------------------------------------------------------------------

  /// The power goes off before the `nth` change from now on (1 = the next): that call and all
  /// later ones of any kind fail with EIO until `crash`.
  void cut_power_before_change(std::uint64_t nth);
  [[nodiscard]] bool power_is_off() const;

  /// The power fails and returns. Open files are dead (EIO), locks are released, faults and a
  /// pending power cut are cleared; what was not synced is kept or lost as `seed` decides.
  void crash(std::uint64_t seed);
  /// The process dies and the machine goes on: as `crash`, but everything written is kept, still
  /// unsynced.
  void kill_process();

  // --- looking and damaging, uncounted and without faults -----------------------------------

  /// Errors: kNotFound.
  [[nodiscard]] Result<ByteVector> content(std::string_view path) const;
  /// Sets content, durable at once; creates the file (and its durable name) if there is none.
  void set_content(std::string_view path, Bytes content);
  /// Flips one bit of what is stored, durable and not. Requires: lies inside the file.
  void flip_bit(std::string_view path, std::uint64_t offset, unsigned bit);
  /// All files, sorted.
  [[nodiscard]] std::vector<std::string> files() const;
  /// How many of this file's changes are not synced yet.
  [[nodiscard]] std::size_t unsynced_changes(std::string_view path) const;

  // --- FileSystem ---------------------------------------------------------------------------

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
  Result<void> make_directory(std::string_view path) override;
  Result<void> remove_file(std::string_view path) override;
  Result<void> remove_directory(std::string_view path) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> sync_directory(std::string_view path) override;
  Result<void> sync_all() override;
  Result<std::vector<Entry>> list(std::string_view path) override;
  Result<Space> space() override;
  Result<std::unique_ptr<Lock>> lock(std::string_view path) override;

 private:
  class Disk;
  class OpenFile;
  class HeldLock;
  std::shared_ptr<Disk> disk_;
};

}  // namespace weir::file
