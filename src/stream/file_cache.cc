#include "stream/file_cache.h"

#include "stream/metrics.h"

#include <cerrno>
#include <utility>

namespace weir::stream {

FileCache::FileCache(file::FileSystem& disk, metrics::Registry& metrics, std::size_t files_max)
    : disk_(disk), open_files_(metrics.gauge(metric::kOpenFiles)), files_max_(files_max) {}

std::shared_ptr<file::File> FileCache::find(const std::string& path) {
  const MutexLock lock(mutex_);
  const auto at = by_path_.find(path);
  if (at == by_path_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, at->second);
  return at->second->file;
}

Result<std::shared_ptr<file::File>> FileCache::open(const std::string& path) {
  if (auto file = find(path)) return file;
  auto opened = disk_.open(path, file::OpenMode::kRead);
  if (!opened && (opened.error().os_errno == EMFILE || opened.error().os_errno == ENFILE)) {
    forget_all();
    opened = disk_.open(path, file::OpenMode::kRead);
  }
  if (!opened) return fail(std::move(opened).error());
  std::shared_ptr<file::File> file = std::move(*opened);
  const MutexLock lock(mutex_);
  insert(path, file);
  return file;
}

void FileCache::insert(const std::string& path, std::shared_ptr<file::File> file) {
  if (by_path_.contains(path)) return;
  by_use_.push_front({path, std::move(file)});
  by_path_.emplace(path, by_use_.begin());
  open_files_.add(1);
  while (by_use_.size() > files_max_) {
    by_path_.erase(by_use_.back().path);
    by_use_.pop_back();
    open_files_.add(-1);
  }
}

void FileCache::forget(const std::string& path) {
  const MutexLock lock(mutex_);
  const auto at = by_path_.find(path);
  if (at == by_path_.end()) return;
  by_use_.erase(at->second);
  by_path_.erase(at);
  open_files_.add(-1);
}

void FileCache::forget_all() {
  const MutexLock lock(mutex_);
  open_files_.add(-static_cast<std::int64_t>(by_use_.size()));
  by_path_.clear();
  by_use_.clear();
}

}  // namespace weir::stream
