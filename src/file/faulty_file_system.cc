#include "file/faulty_file_system.h"

#include "base/check.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "file/faulty_disk.h"
#include "file/path.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

namespace weir::file {
namespace {

using faulty::Node;
using faulty::NodePtr;

constexpr std::array<const char*, kCalls> kDoing{"open",
                                                 "create",
                                                 "read",
                                                 "write",
                                                 "sync",
                                                 "truncate",
                                                 "stat",
                                                 "create directory",
                                                 "remove",
                                                 "remove directory",
                                                 "rename to",
                                                 "sync directory",
                                                 "sync everything below",
                                                 "list",
                                                 "ask for free space of",
                                                 "lock"};

bool changes_something(Call call) {
  switch (call) {
    case Call::kCreate:
    case Call::kWrite:
    case Call::kSync:
    case Call::kTruncate:
    case Call::kMakeDirectory:
    case Call::kRemoveFile:
    case Call::kRemoveDirectory:
    case Call::kRename:
    case Call::kSyncDirectory:
    case Call::kSyncAll:
      return true;
    default:
      return false;
  }
}

std::size_t index_of(Call call) { return static_cast<std::size_t>(call); }

Error call_error(Call call, std::string_view path, int os_errno) {
  return path_error(kDoing.at(index_of(call)), path, os_errno);
}

struct Fault {
  Call call;
  std::uint64_t at_call;  ///< counted since construction
  int os_errno;
  FaultyFileSystem::Times times;
};

}  // namespace

/// Everything behind the one lock.
class FaultyFileSystem::Disk {
 public:
  explicit Disk(std::uint64_t seed) : rng(seed) {}

  /// 0, or the errno that opening this path fails with.
  [[nodiscard]] int unreadable(std::string_view path) const WEIR_REQUIRES(mutex) {
    for (const auto& [bad, why] : bad_paths) {
      if (path == bad || path.starts_with(bad + "/")) return why;
    }
    return 0;
  }
  /// Counts a call. Returns 0, or the errno it has to fail with.
  int begin(Call call) WEIR_REQUIRES(mutex) {
    const std::uint64_t number = ++counts[index_of(call)];
    if (power_off) return EIO;
    if (changes_something(call)) {
      ++changes;
      if (power_fails_at != 0 && changes >= power_fails_at) {
        power_off = true;
        return EIO;
      }
    }
    for (std::size_t i = 0; i < faults.size(); ++i) {
      const Fault fault = faults[i];
      if (fault.call != call || number < fault.at_call) continue;
      if (fault.times == Times::kOnce) faults.erase(faults.begin() + static_cast<long>(i));
      return fault.os_errno;
    }
    return 0;
  }

  /// Open files and locks of an earlier life are dead.
  void forget_process() WEIR_REQUIRES(mutex) {
    ++life;
    locked.clear();
    clear_faults();
    power_off = false;
    power_fails_at = 0;
  }

  void clear_faults() WEIR_REQUIRES(mutex) {
    faults.clear();
    bad_paths.clear();
    bit_flips = 0;
    refusals = 0;
    capacity = std::numeric_limits<std::uint64_t>::max();
  }

  Mutex mutex;
  faulty::Tree tree WEIR_GUARDED_BY(mutex);
  Rng rng WEIR_GUARDED_BY(mutex);
  std::vector<Fault> faults WEIR_GUARDED_BY(mutex);
  std::vector<std::pair<std::string, int>> bad_paths WEIR_GUARDED_BY(mutex);
  std::array<std::uint64_t, kCalls> counts WEIR_GUARDED_BY(mutex){};
  std::uint64_t changes WEIR_GUARDED_BY(mutex) = 0;
  std::uint64_t power_fails_at WEIR_GUARDED_BY(mutex) = 0;
  bool power_off WEIR_GUARDED_BY(mutex) = false;
  std::uint64_t life WEIR_GUARDED_BY(mutex) = 0;
  std::set<Node*> locked WEIR_GUARDED_BY(mutex);
  double bit_flips WEIR_GUARDED_BY(mutex) = 0;
  double refusals WEIR_GUARDED_BY(mutex) = 0;
  std::uint64_t capacity WEIR_GUARDED_BY(mutex) = std::numeric_limits<std::uint64_t>::max();
};

class FaultyFileSystem::OpenFile final : public File {
 public:
  OpenFile(std::shared_ptr<Disk> disk, NodePtr node, std::string path, bool writable,
           std::uint64_t life)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        life_(life) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) override {
    const MutexLock guard(disk_->mutex);
    if (const int why = begin(Call::kRead); why != 0) {
      return fail(call_error(Call::kRead, path_, why));
    }
    return read(offset, into);
  }

  Result<std::optional<std::size_t>> try_read_at(std::uint64_t offset, MutableBytes into) override {
    const MutexLock guard(disk_->mutex);
    if (const int why = begin(Call::kRead); why != 0) {
      return fail(call_error(Call::kRead, path_, why));
    }
    if (disk_->refusals > 0 && disk_->rng.chance(disk_->refusals)) {
      return std::optional<std::size_t>();
    }
    return std::optional<std::size_t>(read(offset, into));
  }

  Result<void> write_at(std::uint64_t offset, std::span<const Bytes> pieces) override {
    const MutexLock guard(disk_->mutex);
    int why = begin(Call::kWrite);
    const bool nothing_arrives = disk_->power_off || why == EBADF || life_ != disk_->life;
    ByteVector whole;
    for (const Bytes piece : pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    std::size_t fits = whole.size();
    if (why != 0) {
      fits = nothing_arrives ? 0 : static_cast<std::size_t>(disk_->rng.below(whole.size() + 1));
    } else if (const std::uint64_t size = node_->content.current().size();
               offset + whole.size() > size) {
      const std::uint64_t used = disk_->tree.bytes();
      const std::uint64_t room = disk_->capacity > used ? disk_->capacity - used : 0;
      if (offset + whole.size() > size + room) {
        why = ENOSPC;
        fits = static_cast<std::size_t>(size + room > offset ? size + room - offset : 0);
      }
    }
    node_->content.write(offset, Bytes(whole).first(fits));
    if (why != 0) return fail(call_error(Call::kWrite, path_, why));
    return {};
  }

  Result<void> sync() override {
    const MutexLock guard(disk_->mutex);
    const int why = begin(Call::kSync);
    if (why != 0) {
      if (!disk_->power_off && life_ == disk_->life) node_->content.lose_unsynced(disk_->rng);
      return fail(call_error(Call::kSync, path_, why));
    }
    if (node_->content.take_failure()) return fail(call_error(Call::kSync, path_, EIO));
    node_->content.sync();
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    const MutexLock guard(disk_->mutex);
    if (const int why = begin(Call::kTruncate); why != 0) {
      return fail(call_error(Call::kTruncate, path_, why));
    }
    node_->content.truncate(size);
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> size() const override {
    const MutexLock guard(disk_->mutex);
    if (const int why = begin(Call::kSize); why != 0) {
      return fail(call_error(Call::kSize, path_, why));
    }
    return node_->content.current().size();
  }

 private:
  int begin(Call call) const WEIR_REQUIRES(disk_->mutex) {
    if (life_ != disk_->life) return EIO;
    const int why = disk_->begin(call);
    if (why == 0 && !writable_ && (call == Call::kWrite || call == Call::kTruncate)) return EBADF;
    return why;
  }

  std::size_t read(std::uint64_t offset, MutableBytes into) WEIR_REQUIRES(disk_->mutex) {
    const ByteVector& content = node_->content.current();
    if (offset >= content.size()) return 0;
    const std::size_t n = std::min(into.size(), static_cast<std::size_t>(content.size() - offset));
    if (n == 0) return 0;
    std::memcpy(into.data(), content.data() + offset, n);
    if (disk_->bit_flips > 0 && disk_->rng.chance(disk_->bit_flips)) {
      into[static_cast<std::size_t>(disk_->rng.below(n))] ^= std::byte{1} << disk_->rng.below(8);
    }
    return n;
  }

  const std::shared_ptr<Disk> disk_;
  const NodePtr node_;
  const std::string path_;
  const bool writable_;
  const std::uint64_t life_;
};

class FaultyFileSystem::HeldLock final : public Lock {
 public:
  HeldLock(std::shared_ptr<Disk> disk, NodePtr node, std::uint64_t life)
      : disk_(std::move(disk)), node_(std::move(node)), life_(life) {}
  ~HeldLock() override {
    const MutexLock guard(disk_->mutex);
    if (life_ == disk_->life) disk_->locked.erase(node_.get());
  }

 private:
  const std::shared_ptr<Disk> disk_;
  const NodePtr node_;
  const std::uint64_t life_;
};

FaultyFileSystem::FaultyFileSystem(std::uint64_t seed) : disk_(std::make_shared<Disk>(seed)) {}
FaultyFileSystem::~FaultyFileSystem() = default;

void FaultyFileSystem::fail_call(Call call, std::uint64_t nth, int os_errno, Times times) {
  const MutexLock guard(disk_->mutex);
  disk_->faults.push_back({call, disk_->counts[index_of(call)] + nth, os_errno, times});
}

void FaultyFileSystem::flip_bits_on_read(double probability) {
  const MutexLock guard(disk_->mutex);
  disk_->bit_flips = probability;
}

void FaultyFileSystem::refuse_cached_reads(double probability) {
  const MutexLock guard(disk_->mutex);
  disk_->refusals = probability;
}

void FaultyFileSystem::set_capacity(std::uint64_t bytes) {
  const MutexLock guard(disk_->mutex);
  disk_->capacity = bytes;
}

void FaultyFileSystem::fail_open_below(std::string_view path, int os_errno) {
  const MutexLock guard(disk_->mutex);
  disk_->bad_paths.emplace_back(path, os_errno);
}

void FaultyFileSystem::clear_faults() {
  const MutexLock guard(disk_->mutex);
  disk_->clear_faults();
}

std::uint64_t FaultyFileSystem::calls(Call call) const {
  const MutexLock guard(disk_->mutex);
  return disk_->counts[index_of(call)];
}

std::uint64_t FaultyFileSystem::changes() const {
  const MutexLock guard(disk_->mutex);
  return disk_->changes;
}

void FaultyFileSystem::cut_power_before_change(std::uint64_t nth) {
  const MutexLock guard(disk_->mutex);
  disk_->power_fails_at = disk_->changes + nth;
}

bool FaultyFileSystem::power_is_off() const {
  const MutexLock guard(disk_->mutex);
  return disk_->power_off;
}

void FaultyFileSystem::crash(std::uint64_t seed) {
  const MutexLock guard(disk_->mutex);
  Rng rng(seed);
  disk_->tree.crash(rng);
  disk_->forget_process();
}

void FaultyFileSystem::kill_process() {
  const MutexLock guard(disk_->mutex);
  disk_->forget_process();
}

Result<ByteVector> FaultyFileSystem::content(std::string_view path) const {
  const MutexLock guard(disk_->mutex);
  const NodePtr node = disk_->tree.find(path);
  if (!node || node->is_directory) return fail(path_error("look at", path, ENOENT));
  return node->content.current();
}

void FaultyFileSystem::set_content(std::string_view path, Bytes content) {
  const MutexLock guard(disk_->mutex);
  NodePtr node = disk_->tree.find(path);
  if (!node) {
    node = std::make_shared<Node>();
    disk_->tree.make_durable(path, node);
  }
  node->content.set_durable(content);
}

void FaultyFileSystem::flip_bit(std::string_view path, std::uint64_t offset, unsigned bit) {
  const MutexLock guard(disk_->mutex);
  const NodePtr node = disk_->tree.find(path);
  WEIR_CHECK(node != nullptr, "a test damages a file that is not there");
  node->content.flip_bit(offset, bit);
}

std::vector<std::string> FaultyFileSystem::files() const {
  const MutexLock guard(disk_->mutex);
  return disk_->tree.files();
}

std::size_t FaultyFileSystem::unsynced_changes(std::string_view path) const {
  const MutexLock guard(disk_->mutex);
  const NodePtr node = disk_->tree.find(path);
  return node ? node->content.unsynced() : 0;
}

Result<std::unique_ptr<File>> FaultyFileSystem::open(std::string_view path, OpenMode mode) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const Call call = mode == OpenMode::kCreateNew ? Call::kCreate : Call::kOpen;
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(call);
  if (why == 0) why = disk_->unreadable(path);
  NodePtr node = disk_->tree.find(path);
  if (why == 0 && call == Call::kCreate) {
    if (node) why = EEXIST;
    if (why == 0 && !disk_->tree.parent(path)) why = ENOENT;
    if (why == 0) {
      node = std::make_shared<Node>();
      disk_->tree.link(path, node);
    }
  } else if (why == 0) {
    if (!node) why = ENOENT;
    if (why == 0 && node->is_directory) why = EISDIR;
  }
  if (why != 0) return fail(call_error(call, path, why));
  return std::make_unique<OpenFile>(disk_, node, std::string(path), mode != OpenMode::kRead,
                                    disk_->life);
}

Result<void> FaultyFileSystem::make_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kMakeDirectory);
  if (why == 0 && disk_->tree.find(path)) why = EEXIST;
  if (why == 0 && !disk_->tree.parent(path)) why = ENOENT;
  if (why != 0) return fail(call_error(Call::kMakeDirectory, path, why));
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  disk_->tree.link(path, std::move(node));
  return {};
}

Result<void> FaultyFileSystem::remove_file(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kRemoveFile);
  const NodePtr node = disk_->tree.find(path);
  if (why == 0 && !node) why = ENOENT;
  if (why == 0 && node->is_directory) why = EISDIR;
  if (why != 0) return fail(call_error(Call::kRemoveFile, path, why));
  disk_->tree.unlink(path);
  return {};
}

Result<void> FaultyFileSystem::remove_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kRemoveDirectory);
  const NodePtr node = disk_->tree.find(path);
  if (why == 0 && !node) why = ENOENT;
  if (why == 0 && !node->is_directory) why = ENOTDIR;
  if (why == 0 && path.empty()) why = EBUSY;
  if (why == 0 && !node->entries.empty()) why = ENOTEMPTY;
  if (why != 0) return fail(call_error(Call::kRemoveDirectory, path, why));
  disk_->tree.unlink(path);
  return {};
}

Result<void> FaultyFileSystem::rename(std::string_view from, std::string_view to) {
  WEIR_RETURN_IF_ERROR(check_path(from));
  WEIR_RETURN_IF_ERROR(check_path(to));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kRename);
  const NodePtr source = disk_->tree.find(from);
  const NodePtr target = disk_->tree.find(to);
  if (why == 0 && (!source || !disk_->tree.parent(to))) why = ENOENT;
  if (why == 0 && target && target->is_directory) why = EEXIST;
  if (why == 0 && target && source->is_directory) why = ENOTDIR;
  if (why == 0 && source->is_directory && to.starts_with(std::string(from) + "/")) why = EINVAL;
  if (why != 0) return fail(call_error(Call::kRename, to, why));
  if (from != to) disk_->tree.rename(from, to);
  return {};
}

Result<void> FaultyFileSystem::sync_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kSyncDirectory);
  const NodePtr node = disk_->tree.find(path);
  if (why == 0 && !node) why = ENOENT;
  if (why == 0 && !node->is_directory) why = ENOTDIR;
  if (why != 0) return fail(call_error(Call::kSyncDirectory, path, why));
  disk_->tree.sync(node);
  return {};
}

Result<void> FaultyFileSystem::sync_all() {
  const MutexLock guard(disk_->mutex);
  const int why = disk_->begin(Call::kSyncAll);
  if (why != 0) {
    if (!disk_->power_off) disk_->tree.fail_write_back(disk_->rng);
    return fail(call_error(Call::kSyncAll, "", why));
  }
  disk_->tree.sync_all();
  return {};
}

Result<std::vector<Entry>> FaultyFileSystem::list(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kList);
  const NodePtr node = disk_->tree.find(path);
  if (why == 0 && !node) why = ENOENT;
  if (why == 0 && !node->is_directory) why = ENOTDIR;
  if (why != 0) return fail(call_error(Call::kList, path, why));
  std::vector<Entry> entries;
  for (const auto& [name, child] : node->entries) {
    entries.push_back({name, child->is_directory ? EntryKind::kDirectory : EntryKind::kFile});
  }
  return entries;
}

Result<Space> FaultyFileSystem::space() {
  const MutexLock guard(disk_->mutex);
  if (const int why = disk_->begin(Call::kSpace); why != 0) {
    return fail(call_error(Call::kSpace, "", why));
  }
  // An unlimited disk still has to have a size that can be computed with.
  const std::uint64_t total = std::min(disk_->capacity, std::uint64_t{1} << 40U);
  const std::uint64_t used = disk_->tree.bytes();
  return Space{total > used ? total - used : 0, total};
}

Result<std::unique_ptr<Lock>> FaultyFileSystem::lock(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(disk_->mutex);
  int why = disk_->begin(Call::kLock);
  NodePtr node = disk_->tree.find(path);
  if (why == 0 && !node && !disk_->tree.parent(path)) why = ENOENT;
  if (why != 0) return fail(call_error(Call::kLock, path, why));
  if (!node) {
    node = std::make_shared<Node>();
    disk_->tree.link(path, node);
  }
  if (!disk_->locked.insert(node.get()).second) {
    return fail(Errc::kUnavailable, "lock '" + std::string(path) + "': another process holds it",
                EWOULDBLOCK);
  }
  return std::make_unique<HeldLock>(disk_, node, disk_->life);
}

}  // namespace weir::file
