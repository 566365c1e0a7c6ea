#include "doctor/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "doctor/proc.h"
#include "file/posix_file_system.h"
#include "stream/layout.h"
#include "stream/slot_file.h"
#include "stream/states.h"
#include "stream/store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace weir::doctor {
namespace {

constexpr std::size_t kFilesMax = 20'000;
constexpr std::size_t kOddShown = 3;
constexpr int kWrites = 7;
constexpr std::size_t kWriteBytes = 4'096;
constexpr std::uint64_t kInodesWarn = 1'000;
constexpr std::uint32_t kForOthers = 077;

Check store_check(std::string_view name) { return {Group::kStore, name}; }

std::string first_few(const std::vector<OddFile>& files) {
  std::string text;
  for (std::size_t i = 0; i < std::min(files.size(), kOddShown); ++i) {
    text += (i == 0 ? "" : ", ") + log::escaped(files[i].path, 120);
  }
  if (files.size() > kOddShown) text += fmt::format(" and {} more", files.size() - kOddShown);
  return text;
}

Finding judge_space(const StoreFacts& facts) {
  const Check check = store_check("disk-space");
  const std::uint64_t least =
      static_cast<std::uint64_t>(std::max<std::int64_t>(facts.min_free_bytes, 0));
  const std::string seen =
      fmt::format("{} free of {}", bytes_text(facts.free_bytes), bytes_text(facts.total_bytes));
  if (facts.free_bytes <= least) {
    return check.error(seen + ": weir refuses messages below " + bytes_text(least),
                       "free some space on this file system, or lower max_size of streams");
  }
  if (facts.free_bytes < 4 * least || facts.free_bytes < facts.total_bytes / 20) {
    return check.warning(
        seen, "make room before it is full; below " + bytes_text(least) + " weir refuses messages");
  }
  return check.ok(seen);
}

Finding judge_inodes(const StoreFacts& facts) {
  const Check check = store_check("inodes");
  if (facts.total_inodes == 0) return check.ok("this file system has as many as it needs");
  const std::string seen =
      fmt::format("room for {} more files of {}", facts.free_inodes, facts.total_inodes);
  if (facts.free_inodes < 16) {
    return check.error(seen,
                       "remove small files from this file system: weir cannot begin segments");
  }
  if (facts.free_inodes < kInodesWarn) {
    return check.warning(seen, "remove small files from this file system");
  }
  return check.ok(seen);
}

Findings judge_files(const StoreFacts& facts) {
  Findings found;
  const Check owner = store_check("ownership");
  const std::string user = user_name(facts.user);
  if (!facts.of_others.empty()) {
    found.push_back(owner.error(
        fmt::format("{} file{} in the store belong{} to {}, not to {}: {}", facts.of_others.size(),
                    facts.of_others.size() == 1 ? "" : "s", facts.of_others.size() == 1 ? "s" : "",
                    user_name(facts.of_others.front().user), user, first_few(facts.of_others)),
        fmt::format("stop weir, then: chown -R {}: '{}'", user, log::escaped(facts.directory))));
  } else {
    found.push_back(owner.ok(fmt::format(
        "{}{} files, all of user {}", facts.all_seen ? "" : "the first ", facts.files_seen, user)));
  }
  const Check modes = store_check("modes");
  const bool directory_open = (facts.mode & 07U) != 0;
  if (directory_open || !facts.too_open.empty()) {
    found.push_back(modes.warning(
        directory_open
            ? fmt::format("others may enter the store directory (mode {:04o})", facts.mode & 07777U)
            : "others may read or write: " + first_few(facts.too_open),
        fmt::format("chmod -R go-rwx '{}'", log::escaped(facts.directory))));
  } else {
    found.push_back(modes.ok("only " + user + " can read the messages"));
  }
  return found;
}

/// Names below the store, with their owners; does not follow links.
void walk(const std::string& directory, StoreFacts& facts) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(
      directory, std::filesystem::directory_options::skip_permission_denied, error);
  const std::filesystem::recursive_directory_iterator end;
  while (!error && entry != end) {
    if (facts.files_seen++ >= kFilesMax) {
      facts.all_seen = false;
      --facts.files_seen;
      return;
    }
    struct stat info {};
    const std::string path = entry->path().string();
    if (entry->path().filename() == "lost+found" && entry.depth() == 0) {
      entry.disable_recursion_pending();
    } else if (::lstat(path.c_str(), &info) == 0) {
      OddFile file{path.substr(directory.size() + 1), info.st_uid, info.st_mode};
      if (info.st_uid != facts.user) facts.of_others.push_back(file);
      const bool open = (info.st_mode & kForOthers) != 0 && !S_ISLNK(info.st_mode);
      if (open) facts.too_open.push_back(std::move(file));
    }
    entry.increment(error);
  }
}

/// Whether a running weir holds the lock; asks without taking what is not there.
bool is_locked(const std::string& directory) {
  const std::string path = directory + "/" + std::string(stream::layout::kLock);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return false;
  const bool taken = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return taken;
}

void look_inside(StoreFacts& facts) {
  const auto disk = file::open_posix(facts.directory);
  if (!disk) {
    facts.unusable = disk.error().what;
    return;
  }
  if (const auto sound = stream::Store::check_format(**disk); !sound) {
    facts.not_a_store = sound.error().what;
    return;
  }
  const auto content =
      stream::read_slots(**disk, stream::layout::kStoreState, stream::kStateSlotBytes);
  const auto state = content ? stream::decode_store_state(content->payload) : std::nullopt;
  facts.was_clean = !content || (state && state->clean);
  facts.in_use = is_locked(facts.directory);
}

}  // namespace

Findings judge_store(const StoreFacts& facts) {
  const Check store = store_check("store");
  const std::string directory = "'" + log::escaped(facts.directory) + "'";
  if (facts.missing) {
    return {store.warning(directory + " does not exist yet",
                          "weir creates it at its first start, if its user may")};
  }
  if (!facts.unusable.empty()) {
    return {store.error(facts.unusable,
                        fmt::format("run this as weir's user: sudo -u {} weir doctor",
                                    facts.user == facts.me ? "weir" : user_name(facts.user)))};
  }
  Findings found;
  if (!facts.not_a_store.empty()) {
    found.push_back(store.error(directory + ": " + facts.not_a_store,
                                "nothing was touched; name another directory in store.directory"));
  } else if (facts.in_use) {
    found.push_back(store.ok(directory + ", in use by a running weir"));
  } else if (!facts.was_clean) {
    found.push_back(store.ok(directory + ", not stopped in order; the next start recovers it"));
  } else {
    found.push_back(store.ok(directory));
  }
  if (facts.read_only) {
    found.push_back(store_check("mount").error(
        "the file system is mounted read-only, perhaps after a disk error",
        "see 'dmesg'; then 'mount -o remount,rw', or replace the disk"));
  }
  found.push_back(judge_space(facts));
  found.push_back(judge_inodes(facts));
  append(found, judge_files(facts));
  return found;
}

StoreFacts look_at_store(const std::string& directory, std::int64_t min_free_bytes) {
  StoreFacts facts;
  facts.directory = directory;
  facts.me = ::geteuid();
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) {
    const int reason = errno;
    facts.missing = reason == ENOENT;
    if (!facts.missing) {
      facts.unusable = os_error("look at '" + log::escaped(directory) + "'", reason).what;
    }
    return facts;
  }
  facts.user = info.st_uid;
  facts.mode = info.st_mode;
  if (!S_ISDIR(info.st_mode)) {
    facts.unusable = "'" + log::escaped(directory) + "' is not a directory";
    return facts;
  }
  if (::access(directory.c_str(), R_OK | X_OK) != 0) {
    facts.unusable = os_error("read '" + log::escaped(directory) + "'", errno).what;
    return facts;
  }
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) == 0) {
    facts.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    facts.total_bytes = std::uint64_t{space.f_blocks} * space.f_frsize;
    facts.free_inodes = space.f_favail;
    facts.total_inodes = space.f_files;
    facts.read_only = (space.f_flag & ST_RDONLY) != 0;
  }
  // As the store itself counts: or 1 % of the disk if that is less.
  facts.min_free_bytes =
      std::min(min_free_bytes, static_cast<std::int64_t>(facts.total_bytes / 100));
  look_inside(facts);
  if (facts.unusable.empty()) walk(directory, facts);
  return facts;
}

Finding judge_sync(const SyncFacts& facts) {
  const Check check = store_check("sync");
  if (!facts.failed.empty() || facts.us.empty()) {
    return check.error("a write to the store fails: " + facts.failed,
                       "weir cannot store messages either: free space, or see 'dmesg'");
  }
  auto sorted = facts.us;
  std::sort(sorted.begin(), sorted.end());
  const std::int64_t middle = sorted[sorted.size() / 2];
  const std::int64_t worst = sorted.back();
  const std::string seen = fmt::format(
      "a write is on the disk after {:.1f} ms, {:.1f} ms at worst of {}",
      static_cast<double>(middle) / 1'000, static_cast<double>(worst) / 1'000, sorted.size());
  const char* const fix =
      "streams with flushOnWrite wait that long for each append: use another disk, or see what "
      "else writes to it (iotop)";
  if (middle > kSyncErrorMs * 1'000) return check.error(seen, fix);
  if (middle > kSyncWarnMs * 1'000) return check.warning(seen, fix);
  return check.ok(seen);
}

SyncFacts measure_sync(const std::string& directory) {
  SyncFacts facts;
  int descriptor = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
    // This file system knows no files without a name.
    std::string path = directory + "/quarantine/doctor-XXXXXX";
    descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor >= 0) ::unlink(path.c_str());
  }
  if (descriptor < 0) {
    facts.failed = os_error("create a file", errno).what;
    return facts;
  }
  const std::array<char, kWriteBytes> page{};
  const SystemClock clock;
  for (int i = 0; i < kWrites; ++i) {
    const Instant begin = clock.now();
    const ssize_t wrote =
        ::pwrite(descriptor, page.data(), page.size(), static_cast<off_t>(page.size()) * i);
    if (wrote != static_cast<ssize_t>(page.size()) || ::fdatasync(descriptor) != 0) {
      facts.failed = os_error("write", wrote < 0 || errno != 0 ? errno : ENOSPC).what;
      break;
    }
    const auto took = clock.now() - begin;
    facts.us.push_back(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  }
  ::close(descriptor);
  return facts;
}

Finding judge_secret(const SecretFacts& facts) {
  const Check check(Group::kWeir, "secret-file", facts.path);
  const std::string name = fmt::format("{} ({})", log::escaped(facts.path), facts.what);
  if (facts.missing) return check.error(name + " does not exist", "create it, or correct its name");
  if (!facts.unreadable.empty()) {
    return check.error(name + ": " + facts.unreadable,
                       "make it readable for the user that runs weir");
  }
  if ((facts.mode & 07U) != 0) {
    return check.warning(
        fmt::format("every user can get at {} (mode {:04o})", name, facts.mode & 07777U),
        fmt::format("chmod o-rwx '{}'", log::escaped(facts.path)));
  }
  return check.ok(name + ", user " + user_name(facts.user));
}

SecretFacts look_at_secret(const std::string& path, const std::string& what) {
  SecretFacts facts;
  facts.path = path;
  facts.what = what;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    facts.missing = errno == ENOENT;
    if (!facts.missing) facts.unreadable = os_error("look at it", errno).what;
    return facts;
  }
  facts.user = info.st_uid;
  facts.mode = info.st_mode;
  if (::access(path.c_str(), R_OK) != 0) facts.unreadable = os_error("read it", errno).what;
  return facts;
}

Findings check_input_directories(const std::vector<std::string>& directories) {
  const Check check(Group::kDestinations, "input-directories");
  if (directories.empty()) {
    return {
        check.warning("clients may have any file uploaded that weir can read",
                      "name the directories that are meant for it in export.s3.input_directories")};
  }
  Findings found;
  for (const std::string& directory : directories) {
    struct stat info {};
    const std::string name = log::escaped(directory, 160);
    if (::stat(directory.c_str(), &info) != 0) {
      const std::string why =
          errno == ENOENT ? " does not exist" : ": " + os_error("look at it", errno).what;
      found.push_back(check.error(name + why + "; the uploads from it fail",
                                  "create it, mount what should be there, or correct its name in "
                                  "export.s3.input_directories"));
    } else if (!S_ISDIR(info.st_mode)) {
      found.push_back(check.error(name + " is not a directory",
                                  "name a directory in export.s3.input_directories"));
    } else {
      found.push_back(check.ok("uploads come from " + name));
    }
  }
  return found;
}

Finding check_output_directory(const std::string& what, const std::string& path) {
  const Check check(Group::kDestinations, "directory", what);
  const std::string name = "'" + log::escaped(path) + "'";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const int reason = errno;
    if (reason != ENOENT) {
      return check.error(os_error("look at " + name, reason).what,
                         "make it writable for the user that runs weir");
    }
    // weir makes what is missing: the nearest directory that exists counts.
    const std::string parent = std::filesystem::path(path).parent_path().string();
    if (parent.empty() || parent == path) return check.error(name + " does not exist", "create it");
    Finding above = check_output_directory(what, parent);
    if (above.level != Level::kOk) return above;
    return check.ok(name + " does not exist yet; weir can create it");
  }
  if (!S_ISDIR(info.st_mode)) {
    return check.error(name + " is not a directory", "name a directory in the export");
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return check.error(os_error("write to " + name, errno).what,
                       fmt::format("make it writable for the user that runs weir (it belongs to "
                                   "{}, mode {:04o})",
                                   user_name(info.st_uid), info.st_mode & 07777U));
  }
  struct statvfs space {};
  if (::statvfs(path.c_str(), &space) == 0) {
    if ((space.f_flag & ST_RDONLY) != 0) {
      return check.error(name + " is on a file system that is mounted read-only",
                         "mount it writable");
    }
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    return check.ok(fmt::format("{} is writable, {} free", name, bytes_text(free)));
  }
  return check.ok(name + " is writable");
}

}  // namespace weir::doctor
