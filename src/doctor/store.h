#pragma once

#include "doctor/finding.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The directory that messages are kept in: room, speed, and whose its files are.
namespace weir::doctor {

struct OddFile {
  std::string path;
  std::uint32_t user = 0;
  std::uint32_t mode = 0;
};

struct StoreFacts {
  std::string directory;
  std::string unusable;  ///< why it cannot be looked at, if so
  bool missing = false;
  std::string not_a_store;  ///< why it is not weir's, or of a newer format
  bool in_use = false;      ///< a running weir holds it
  bool was_clean = true;    ///< the last stop was orderly

  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_inodes = 0;
  std::uint64_t total_inodes = 0;  ///< 0: the file system has none to count
  bool read_only = false;
  std::int64_t min_free_bytes = 0;

  std::uint32_t user = 0;          ///< whose the directory is
  std::uint32_t mode = 0;          ///< of the directory
  std::uint32_t me = 0;            ///< who asks
  std::vector<OddFile> of_others;  ///< files of somebody else than the directory's owner
  std::vector<OddFile> too_open;   ///< files that group or others may write or read
  std::size_t files_seen = 0;
  bool all_seen = true;
};
/// Beyond this an append to a stream with flushOnWrite keeps its sender waiting noticeably.
inline constexpr std::int64_t kSyncWarnMs = 100;
inline constexpr std::int64_t kSyncErrorMs = 2'000;

Findings judge_store(const StoreFacts& facts);
/// Looks at 20,000 files at most; changes nothing.
StoreFacts look_at_store(const std::string& directory, std::int64_t min_free_bytes);

struct SyncFacts {
  std::string failed;            ///< why nothing was measured
  std::vector<std::int64_t> us;  ///< each write with its fdatasync
};
Finding judge_sync(const SyncFacts& facts);
/// Writes 4 KiB a few times to a file without a name in the store and syncs each; nothing stays.
/// Blocks: as long as the disk does.
SyncFacts measure_sync(const std::string& directory);

struct SecretFacts {
  std::string path;
  std::string what;
  bool missing = false;
  std::string unreadable;  ///< why
  std::uint32_t user = 0;
  std::uint32_t mode = 0;
};
Finding judge_secret(const SecretFacts& facts);
SecretFacts look_at_secret(const std::string& path, const std::string& what);

/// The directories from which clients may have files uploaded (reliability.md §4.5).
Findings check_input_directories(const std::vector<std::string>& directories);

/// A directory that an export writes files to.
Finding check_output_directory(const std::string& what, const std::string& path);

}  // namespace weir::doctor
