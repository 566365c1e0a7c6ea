#include "file/memory_file_system.h"

#include "base/mutex.h"
#include "file/path.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <utility>

namespace weir::file {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{64} * 1024;
constexpr std::size_t kFirstChunkBytes = 512;

/// What all files of one file system together use.
class Budget {
 public:
  explicit Budget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  bool take(std::uint64_t bytes) {
    if (used_.fetch_add(bytes) + bytes <= bytes_max_) return true;
    used_ -= bytes;
    return false;
  }
  void give_back(std::uint64_t bytes) { used_ -= bytes; }
  [[nodiscard]] Space space() const {
    const std::uint64_t used = used_;
    return {bytes_max_ - std::min(used, bytes_max_), bytes_max_};
  }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> used_{0};
};

/// Content in chunks of `kChunkBytes`; only the last may be smaller, and doubles until it is full.
/// Readers and the writer take the lock for one chunk at a time, so nobody waits long.
class Content {
 public:
  explicit Content(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  ~Content() { budget_->give_back(size_); }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  std::size_t read(std::uint64_t offset, MutableBytes into) WEIR_EXCLUDES(mutex_) {
    std::size_t done = 0;
    while (done < into.size()) {
      const MutexLock guard(mutex_);
      if (offset + done >= size_) break;
      const auto [chunk, within] = place(offset + done);
      const std::size_t n = std::min({into.size() - done, kChunkBytes - within,
                                      static_cast<std::size_t>(size_ - offset - done)});
      std::memcpy(into.data() + done, chunks_[chunk].bytes.get() + within, n);
      done += n;
    }
    return done;
  }

  bool write(std::uint64_t offset, Bytes from) WEIR_EXCLUDES(mutex_) {
    while (!from.empty()) {
      const MutexLock guard(mutex_);
      const auto [chunk, within] = place(offset);
      const std::size_t n = std::min(from.size(), kChunkBytes - within);
      if (offset + n > size_ && !grow(offset + n)) return false;
      std::memcpy(chunks_[chunk].bytes.get() + within, from.data(), n);
      offset += n;
      from = from.subspan(n);
    }
    return true;
  }

  bool resize(std::uint64_t size) WEIR_EXCLUDES(mutex_) {
    const MutexLock guard(mutex_);
    if (size >= size_) return size == size_ || grow(size);
    budget_->give_back(size_ - size);
    size_ = size;
    chunks_.resize(static_cast<std::size_t>((size + kChunkBytes - 1) / kChunkBytes));
    return true;
  }

  [[nodiscard]] std::uint64_t size() const WEIR_EXCLUDES(mutex_) {
    const MutexLock guard(mutex_);
    return size_;
  }

 private:
  struct Chunk {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t capacity = 0;
  };
  struct Place {
    std::size_t chunk;
    std::size_t within;
  };
  static Place place(std::uint64_t offset) {
    return {static_cast<std::size_t>(offset / kChunkBytes),
            static_cast<std::size_t>(offset % kChunkBytes)};
  }

  /// Makes the file `size` bytes long; the new ones are zero.
  bool grow(std::uint64_t size) WEIR_REQUIRES(mutex_) {
    if (!budget_->take(size - size_)) return false;
    while (size_ < size) {
      const auto [chunk, within] = place(size_);
      if (chunk == chunks_.size()) chunks_.emplace_back();
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(size - size_, kChunkBytes - within));
      make_room(chunks_[chunk], within, within + n);
      std::memset(chunks_[chunk].bytes.get() + within, 0, n);
      size_ += n;
    }
    return true;
  }

  static void make_room(Chunk& chunk, std::size_t used, std::size_t needed) {
    if (needed <= chunk.capacity) return;
    std::size_t capacity = std::max(kFirstChunkBytes, chunk.capacity * 2);
    capacity = std::min(kChunkBytes, std::max(capacity, needed));
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (used > 0) std::memcpy(bytes.get(), chunk.bytes.get(), used);
    chunk = {std::move(bytes), capacity};
  }

  const std::shared_ptr<Budget> budget_;
  mutable Mutex mutex_;
  std::vector<Chunk> chunks_ WEIR_GUARDED_BY(mutex_);
  std::uint64_t size_ WEIR_GUARDED_BY(mutex_) = 0;
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<Content> content, std::string path)
      : content_(std::move(content)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) override {
    return content_->read(offset, into);
  }
  Result<std::optional<std::size_t>> try_read_at(std::uint64_t offset, MutableBytes into) override {
    return std::optional<std::size_t>(content_->read(offset, into));
  }
  Result<void> write_at(std::uint64_t offset, std::span<const Bytes> pieces) override {
    for (const Bytes piece : pieces) {
      if (!content_->write(offset, piece)) return fail(path_error("write", path_, ENOSPC));
      offset += piece.size();
    }
    return {};
  }
  Result<void> sync() override { return {}; }
  Result<void> truncate(std::uint64_t size) override {
    if (!content_->resize(size)) return fail(path_error("truncate", path_, ENOSPC));
    return {};
  }
  [[nodiscard]] Result<std::uint64_t> size() const override { return content_->size(); }

 private:
  const std::shared_ptr<Content> content_;
  const std::string path_;
};

class MemoryFileSystem final : public FileSystem {
 public:
  explicit MemoryFileSystem(std::uint64_t bytes_max)
      : budget_(std::make_shared<Budget>(bytes_max)) {}

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override;
  Result<void> make_directory(std::string_view path) override;
  Result<void> remove_file(std::string_view path) override;
  Result<void> remove_directory(std::string_view path) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> sync_directory(std::string_view path) override;
  Result<void> sync_all() override { return {}; }
  Result<std::vector<Entry>> list(std::string_view path) override;
  Result<Space> space() override { return budget_->space(); }
  Result<std::unique_ptr<Lock>> lock(std::string_view path) override;

 private:
  /// A file has content, a directory none.
  using Nodes = std::map<std::string, std::shared_ptr<Content>, std::less<>>;
  struct Tree {
    Mutex mutex;
    Nodes nodes WEIR_GUARDED_BY(mutex);
    std::set<std::string, std::less<>> locked WEIR_GUARDED_BY(mutex);
  };
  class HeldLock final : public Lock {
   public:
    HeldLock(std::shared_ptr<Tree> tree, std::string path)
        : tree_(std::move(tree)), path_(std::move(path)) {}
    ~HeldLock() override {
      const MutexLock guard(tree_->mutex);
      tree_->locked.erase(path_);
    }

   private:
    const std::shared_ptr<Tree> tree_;
    const std::string path_;
  };

  /// 0, or why nothing can be created at `path`.
  int parent_errno(std::string_view path) const WEIR_REQUIRES(tree_->mutex) {
    const std::string_view directory = split_path(path).directory;
    if (directory.empty()) return 0;
    const auto found = tree_->nodes.find(directory);
    if (found == tree_->nodes.end()) return ENOENT;
    return found->second ? ENOTDIR : 0;
  }
  /// Everything below a directory follows it directly in the map's order of "path/".
  bool has_children(std::string_view path) const WEIR_REQUIRES(tree_->mutex) {
    const std::string prefix = std::string(path) + "/";
    const auto next = tree_->nodes.lower_bound(prefix);
    return next != tree_->nodes.end() && next->first.starts_with(prefix);
  }

  const std::shared_ptr<Budget> budget_;
  const std::shared_ptr<Tree> tree_ = std::make_shared<Tree>();
};

Result<std::unique_ptr<File>> MemoryFileSystem::open(std::string_view path, OpenMode mode) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const char* const doing = mode == OpenMode::kCreateNew ? "create" : "open";
  const MutexLock guard(tree_->mutex);
  const auto found = tree_->nodes.find(path);
  if (mode == OpenMode::kCreateNew) {
    if (path.empty() || found != tree_->nodes.end()) return fail(path_error(doing, path, EEXIST));
    if (const int why = parent_errno(path); why != 0) return fail(path_error(doing, path, why));
    auto content = std::make_shared<Content>(budget_);
    tree_->nodes.emplace(path, content);
    return std::make_unique<MemoryFile>(std::move(content), std::string(path));
  }
  if (path.empty()) return fail(path_error(doing, path, EISDIR));
  if (found == tree_->nodes.end()) return fail(path_error(doing, path, ENOENT));
  if (!found->second) return fail(path_error(doing, path, EISDIR));
  return std::make_unique<MemoryFile>(found->second, std::string(path));
}

Result<void> MemoryFileSystem::make_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  int why = path.empty() || tree_->nodes.contains(path) ? EEXIST : parent_errno(path);
  if (why != 0) return fail(path_error("create directory", path, why));
  tree_->nodes.emplace(path, nullptr);
  return {};
}

Result<void> MemoryFileSystem::remove_file(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  const auto found = tree_->nodes.find(path);
  if (found == tree_->nodes.end()) return fail(path_error("remove", path, ENOENT));
  if (!found->second) return fail(path_error("remove", path, EISDIR));
  tree_->nodes.erase(found);
  return {};
}

Result<void> MemoryFileSystem::remove_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  const auto found = tree_->nodes.find(path);
  int why = 0;
  if (found == tree_->nodes.end()) {
    why = ENOENT;
  } else if (found->second) {
    why = ENOTDIR;
  } else if (has_children(path)) {
    why = ENOTEMPTY;
  }
  if (why != 0) return fail(path_error("remove directory", path, why));
  tree_->nodes.erase(found);
  return {};
}

Result<void> MemoryFileSystem::rename(std::string_view from, std::string_view to) {
  WEIR_RETURN_IF_ERROR(check_path(from));
  WEIR_RETURN_IF_ERROR(check_path(to));
  const MutexLock guard(tree_->mutex);
  const auto source = tree_->nodes.find(from);
  if (source == tree_->nodes.end()) return fail(path_error("rename to", to, ENOENT));
  if (const int why = parent_errno(to); why != 0) return fail(path_error("rename to", to, why));
  if (from == to) return {};
  const bool is_directory = source->second == nullptr;
  const auto target = tree_->nodes.find(to);
  if (target != tree_->nodes.end() && !target->second) {
    return fail(path_error("rename to", to, EEXIST));
  }
  const std::string prefix = std::string(from) + "/";
  if (is_directory && (target != tree_->nodes.end() || to.starts_with(prefix))) {
    return fail(path_error("rename to", to, to.starts_with(prefix) ? EINVAL : ENOTDIR));
  }
  Nodes moved;
  moved.emplace(to, source->second);
  for (auto it = tree_->nodes.lower_bound(prefix);
       is_directory && it != tree_->nodes.end() && it->first.starts_with(prefix);) {
    moved.emplace(std::string(to) + "/" + it->first.substr(prefix.size()), it->second);
    it = tree_->nodes.erase(it);
  }
  tree_->nodes.erase(tree_->nodes.find(from));
  for (auto& [path, content] : moved) tree_->nodes.insert_or_assign(path, std::move(content));
  return {};
}

Result<void> MemoryFileSystem::sync_directory(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  if (path.empty()) return {};
  const auto found = tree_->nodes.find(path);
  if (found == tree_->nodes.end()) return fail(path_error("sync directory", path, ENOENT));
  if (found->second) return fail(path_error("sync directory", path, ENOTDIR));
  return {};
}

Result<std::vector<Entry>> MemoryFileSystem::list(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  if (!path.empty()) {
    const auto found = tree_->nodes.find(path);
    if (found == tree_->nodes.end()) return fail(path_error("list", path, ENOENT));
    if (found->second) return fail(path_error("list", path, ENOTDIR));
  }
  const std::string prefix = path.empty() ? "" : std::string(path) + "/";
  std::vector<Entry> entries;
  for (auto it = tree_->nodes.lower_bound(prefix);
       it != tree_->nodes.end() && it->first.starts_with(prefix); ++it) {
    const std::string_view name = std::string_view(it->first).substr(prefix.size());
    if (name.empty() || name.find('/') != std::string_view::npos) continue;
    entries.push_back({std::string(name), it->second ? EntryKind::kFile : EntryKind::kDirectory});
  }
  return entries;
}

Result<std::unique_ptr<Lock>> MemoryFileSystem::lock(std::string_view path) {
  WEIR_RETURN_IF_ERROR(check_path(path));
  const MutexLock guard(tree_->mutex);
  if (const int why = parent_errno(path); why != 0) return fail(path_error("lock", path, why));
  if (!tree_->locked.emplace(path).second) {
    return fail(Errc::kUnavailable, "lock '" + std::string(path) + "': another caller holds it",
                EWOULDBLOCK);
  }
  if (!tree_->nodes.contains(path)) {
    tree_->nodes.emplace(path, std::make_shared<Content>(budget_));
  }
  return std::make_unique<HeldLock>(tree_, std::string(path));
}

}  // namespace

std::unique_ptr<FileSystem> make_memory(std::uint64_t bytes_max) {
  return std::make_unique<MemoryFileSystem>(bytes_max);
}

}  // namespace weir::file
