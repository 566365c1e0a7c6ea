#pragma once

#include "base/metrics.h"
#include "base/mutex.h"
#include "base/result.h"
#include "file/file_system.h"

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

namespace weir::stream {

/// Open files for reading sealed segments, so that reading on does not open again and ten thousand
/// idle streams hold no descriptor. The least recently used are closed first. Threads: any.
class FileCache {
 public:
  FileCache(file::FileSystem& disk, metrics::Registry& metrics, std::size_t files_max);

  /// The file, open. Blocks when it has to be opened. Errors: kNotFound, kIo.
  Result<std::shared_ptr<file::File>> open(const std::string& path);
  /// The same, only if it is open already; else null.
  std::shared_ptr<file::File> find(const std::string& path);
  /// Closes it as soon as nobody uses it.
  void forget(const std::string& path);
  /// Closes all: somebody needs descriptors.
  void forget_all();

 private:
  struct Open {
    std::string path;
    std::shared_ptr<file::File> file;
  };
  void insert(const std::string& path, std::shared_ptr<file::File> file) WEIR_REQUIRES(mutex_);

  file::FileSystem& disk_;
  metrics::Gauge& open_files_;
  const std::size_t files_max_;
  Mutex mutex_;
  std::list<Open> by_use_ WEIR_GUARDED_BY(mutex_);  // most recent first
  std::unordered_map<std::string, std::list<Open>::iterator> by_path_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::stream
