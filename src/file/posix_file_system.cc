#include "file/posix_file_system.h"

#include "file/mapped_window.h"
#include "file/path.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

namespace weir::file {
namespace {

/// A file descriptor, closed when destroyed. Errors of close are not looked at: whatever had to be
/// on the disk was synced before.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// Repeats a call as long as a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

off_t to_off(std::uint64_t offset) { return static_cast<off_t>(offset); }

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = uninterrupted([&] {
        return ::pread(descriptor_.get(), into.data() + done, into.size() - done,
                       to_off(offset + done));
      });
      if (n < 0) return fail(path_error("read", path_, errno));
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<std::optional<std::size_t>> try_read_at(std::uint64_t offset, MutableBytes into) override {
    if (into.empty()) return std::optional<std::size_t>(0);
    iovec piece{into.data(), into.size()};
    const ssize_t n = uninterrupted(
        [&] { return ::preadv2(descriptor_.get(), &piece, 1, to_off(offset), RWF_NOWAIT); });
    if (n >= 0) return std::optional<std::size_t>(static_cast<std::size_t>(n));
    if (errno == EAGAIN) return std::optional<std::size_t>();
    // Some file systems and old kernels cannot tell; waiting is then the only way to know.
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
      return fail(path_error("read", path_, errno));
    }
    WEIR_TRY(const std::size_t waited_for, read_at(offset, into));
    return std::optional<std::size_t>(waited_for);
  }

  Result<void> write_at(std::uint64_t offset, std::span<const Bytes> pieces) override {
    if (window_.covers(offset, total(pieces)) && window_.write(offset, pieces)) return {};
    std::array<iovec, kVectorsPerCall> vectors;
    std::size_t next = 0;     // the first piece that is not completely written
    std::size_t skipped = 0;  // of which so many bytes are
    while (next < pieces.size()) {
      int count = 0;
      for (std::size_t i = next; i < pieces.size() && count < kVectorsPerCall; ++i) {
        const Bytes rest = pieces[i].subspan(i == next ? skipped : 0);
        if (rest.empty()) {
          if (count > 0) continue;
          ++next;
          skipped = 0;
          continue;
        }
        // pwritev does not write through this pointer; iovec just has no const form.
        vectors[static_cast<std::size_t>(count++)] = {const_cast<std::byte*>(rest.data()),
                                                      rest.size()};
      }
      if (count == 0) break;
      const ssize_t n = uninterrupted([&] { return write_once(vectors.data(), count, offset); });
      if (n < 0) return fail(path_error("write", path_, errno));
      if (n == 0) return fail(path_error("write", path_, EIO));
      offset += static_cast<std::uint64_t>(n);
      advance(pieces, next, skipped, static_cast<std::size_t>(n));
    }
    return {};
  }

  Result<void> sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) {
      return fail(path_error("sync", path_, errno));
    }
    return {};
  }

  void reserve(std::uint64_t offset, std::uint64_t bytes) override {
    // Whether it worked shows when it is written to.
    static_cast<void>(uninterrupted([&] {
      return ::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, to_off(offset), to_off(bytes));
    }));
  }

  void expect_small_writes(std::uint64_t offset, std::uint64_t bytes) override {
    bytes == 0 ? window_.close() : window_.open(descriptor_.get(), offset, bytes);
  }

  Result<void> truncate(std::uint64_t size) override {
    window_.close();
    if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), to_off(size)); }) != 0) {
      return fail(path_error("truncate", path_, errno));
    }
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) return fail(path_error("stat", path_, errno));
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  static constexpr int kVectorsPerCall = 256;  // well below IOV_MAX, and 4 KiB of stack

  static std::uint64_t total(std::span<const Bytes> pieces) {
    std::uint64_t bytes = 0;
    for (const Bytes piece : pieces) bytes += piece.size();
    return bytes;
  }

  ssize_t write_once(const iovec* vectors, int count, std::uint64_t offset) const {
    if (count == 1) {
      return ::pwrite(descriptor_.get(), vectors->iov_base, vectors->iov_len, to_off(offset));
    }
    return ::pwritev(descriptor_.get(), vectors, count, to_off(offset));
  }

  static void advance(std::span<const Bytes> pieces, std::size_t& next, std::size_t& skipped,
                      std::size_t written) {
    skipped += written;
    while (next < pieces.size() && skipped >= pieces[next].size()) {
      skipped -= pieces[next].size();
      ++next;
    }
  }

  Descriptor descriptor_;
  std::string path_;
  MappedWindow window_;
};

class PosixLock final : public Lock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

EntryKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return EntryKind::kFile;
  if (S_ISDIR(mode)) return EntryKind::kDirectory;
  return EntryKind::kOther;
}

/// syncfs tells of failed writes since Linux 5.8. FUSE and most network file systems only write
/// back what they hold and do not make it durable, so the known good ones are listed.
bool syncs_whole(int root) {
  utsname system{};
  int major = 0;
  int minor = 0;
  // Two small numbers; what cannot be read counts as old. NOLINTNEXTLINE(cert-err34-c)
  if (::uname(&system) != 0 || std::sscanf(system.release, "%3d.%3d", &major, &minor) != 2) {
    return false;
  }
  if (major < 5 || (major == 5 && minor < 8)) return false;
  struct statfs status {};
  if (uninterrupted([&] { return ::fstatfs(root, &status); }) != 0) return false;
  constexpr std::uint64_t kExt = EXT4_SUPER_MAGIC;  // ext2, ext3 and ext4 share it
  const std::array<std::uint64_t, 5> known{kExt, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                           F2FS_SUPER_MAGIC, TMPFS_MAGIC};
  const auto type = static_cast<std::uint64_t>(status.f_type);
  return std::find(known.begin(), known.end(), type) != known.end();
}

class PosixFileSystem final : public FileSystem {
 public:
  explicit PosixFileSystem(Descriptor root)
      : root_(std::move(root)), syncs_whole_(syncs_whole(root_.get())) {}

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode) override {
    const char* const doing = mode == OpenMode::kCreateNew ? "create" : "open";
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;
    // Without O_NONBLOCK a FIFO in place of a file would hang the opener for ever.
    flags |= mode == OpenMode::kRead ? O_RDONLY : O_RDWR;
    flags |= mode == OpenMode::kCreateNew ? O_CREAT | O_EXCL : O_NONBLOCK;
    WEIR_TRY(Descriptor descriptor, open_below(doing, path, flags));
    struct stat status {};
    if (::fstat(descriptor.get(), &status) != 0) return fail(path_error(doing, path, errno));
    if (!S_ISREG(status.st_mode)) {
      return fail(Errc::kIo,
                  std::string(doing) + " '" + std::string(path) + "': it is not a regular file",
                  S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
    }
    return std::make_unique<PosixFile>(std::move(descriptor), std::string(path));
  }

  Result<void> make_directory(std::string_view path) override {
    return at("create directory", path,
              [&](const char* name) { return ::mkdirat(root_.get(), name, 0700); });
  }
  Result<void> remove_file(std::string_view path) override {
    return at("remove", path, [&](const char* name) { return ::unlinkat(root_.get(), name, 0); });
  }
  Result<void> remove_directory(std::string_view path) override {
    return at("remove directory", path,
              [&](const char* name) { return ::unlinkat(root_.get(), name, AT_REMOVEDIR); });
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    WEIR_RETURN_IF_ERROR(check_path(from));
    const std::string source(from);
    return at("rename to", to, [&](const char* target) {
      struct stat status {};
      if (::fstatat(root_.get(), target, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISDIR(status.st_mode)) {
        errno = EEXIST;
        return -1;
      }
      return ::renameat(root_.get(), source.c_str(), root_.get(), target);
    });
  }

  Result<void> sync_directory(std::string_view path) override {
    WEIR_TRY(const Descriptor directory, open_directory("sync directory", path));
    if (uninterrupted([&] { return ::fsync(directory.get()); }) != 0) {
      return fail(path_error("sync directory", path, errno));
    }
    return {};
  }

  Result<void> sync_all() override {
    if (!syncs_whole_) {
      return fail(Errc::kUnsupported, "sync everything: this file system or kernel cannot");
    }
    if (uninterrupted([&] { return ::syncfs(root_.get()); }) != 0) {
      return fail(path_error("sync everything below", "", errno));
    }
    return {};
  }

  Result<std::vector<Entry>> list(std::string_view path) override;

  Result<Space> space() override {
    struct statvfs status {};
    if (uninterrupted([&] { return ::fstatvfs(root_.get(), &status); }) != 0) {
      return fail(path_error("ask for free space of", "", errno));
    }
    return Space{static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize,
                 static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize};
  }

  Result<std::unique_ptr<Lock>> lock(std::string_view path) override {
    WEIR_TRY(Descriptor descriptor,
             open_below("lock", path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    // Belongs to the open file, not to the process: a second open conflicts here too.
    if (uninterrupted([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) {
        return fail(Errc::kUnavailable,
                    "lock '" + std::string(path) + "': another process holds it", errno);
      }
      return fail(path_error("lock", path, errno));
    }
    return std::make_unique<PosixLock>(std::move(descriptor));
  }

 private:
  template <class Action>
  Result<void> at(std::string_view doing, std::string_view path, Action action) {
    WEIR_RETURN_IF_ERROR(check_path(path));
    const std::string name(path);
    if (uninterrupted([&] { return action(name.c_str()); }) != 0) {
      return fail(path_error(doing, path, errno));
    }
    return {};
  }

  Result<Descriptor> open_below(std::string_view doing, std::string_view path, int flags) {
    WEIR_RETURN_IF_ERROR(check_path(path));
    const std::string name(path.empty() ? "." : path);
    Descriptor descriptor(
        uninterrupted([&] { return ::openat(root_.get(), name.c_str(), flags, 0600); }));
    if (!descriptor.valid()) return fail(path_error(doing, path, errno));
    return descriptor;
  }

  Result<Descriptor> open_directory(std::string_view doing, std::string_view path) {
    return open_below(doing, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  }

  Descriptor root_;
  const bool syncs_whole_;
};

Result<std::vector<Entry>> PosixFileSystem::list(std::string_view path) {
  WEIR_TRY(Descriptor directory, open_directory("list", path));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) return fail(path_error("list", path, errno));
  directory.release();
  std::vector<Entry> entries;
  for (;;) {
    errno = 0;
    // One stream per call, used by this thread alone. NOLINTNEXTLINE(concurrency-mt-unsafe)
    const dirent* found = ::readdir(stream.get());
    if (found == nullptr) {
      if (errno != 0) return fail(path_error("list", path, errno));
      return entries;
    }
    const std::string_view name(found->d_name);
    if (name == "." || name == "..") continue;
    EntryKind kind = EntryKind::kOther;
    if (found->d_type == DT_REG) kind = EntryKind::kFile;
    if (found->d_type == DT_DIR) kind = EntryKind::kDirectory;
    if (found->d_type == DT_UNKNOWN) {
      struct stat status {};
      if (::fstatat(::dirfd(stream.get()), found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        kind = kind_of(status.st_mode);
      }
    }
    entries.push_back({std::string(name), kind});
  }
}

}  // namespace

Result<std::unique_ptr<FileSystem>> open_posix(const std::string& root) {
  Descriptor descriptor(
      uninterrupted([&] { return ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!descriptor.valid()) {
    const int why = errno;
    Error error = path_error("open directory", root, why);
    if (why == ENOTDIR) error.code = Errc::kInvalidArgument;
    return fail(std::move(error));
  }
  return std::make_unique<PosixFileSystem>(std::move(descriptor));
}

}  // namespace weir::file
