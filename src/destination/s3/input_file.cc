#include "destination/s3/input_file.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/magic.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

namespace weir::destination::s3 {
namespace {

constexpr std::array kAlwaysDenied = {"/proc", "/sys", "/dev", "/run/credentials"};

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

using Place = std::pair<std::uint64_t, std::uint64_t>;  // device and inode

Place place_of(const struct stat& about) { return {about.st_dev, about.st_ino}; }

std::vector<Place> denied_places(const InputRules& rules) {
  std::vector<Place> places;
  const auto add = [&places](const char* path) {
    struct stat about {};
    if (stat(path, &about) == 0) places.push_back(place_of(about));
  };
  for (const char* path : kAlwaysDenied) add(path);
  for (const std::string& path : rules.denied) add(path.c_str());
  return places;
}

auto not_allowed(const std::string& path, const std::string& why) {
  return fail(Errc::kInvalidArgument, "the file " + log::escaped(path) + " " + why);
}

Error system_error(const std::string& path, int number) {
  Error error = os_error("open the file " + log::escaped(path), number);
  if (number == ENOENT || number == ENOTDIR) {
    error.code = Errc::kNotFound;
    error.what = "the file " + log::escaped(path) + " does not exist";
  } else if (number == ELOOP) {
    error.code = Errc::kInvalidArgument;
    error.what = "the file " + log::escaped(path) + " is reached through a symbolic link";
  } else {
    error.code = Errc::kIo;
  }
  return error;
}

// Real path of an existing file or directory, "" if there is none.
std::string canonical(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return {};
  std::string text(real);
  std::free(real);  // NOLINT(cppcoreguidelines-no-malloc): realpath's own contract
  return text;
}

// Where `path` lies below `directory`, by components; nothing if it does not.
std::string_view below(std::string_view path, std::string_view directory) {
  while (directory.ends_with('/')) directory.remove_suffix(1);
  if (!path.starts_with(directory)) return {};
  path.remove_prefix(directory.size());
  return path.starts_with('/') ? path : std::string_view{};
}

Error directory_error(const std::string& directory, int number) {
  Error error = system_error(directory, number);
  const bool gone = error.code == Errc::kNotFound;
  error.what = "the directory " + log::escaped(directory) +
               ", from which weir may upload files (export.s3.input_directories), " +
               (gone ? "does not exist; is it mounted?"
                     : "cannot be reached: " + os_error("look at it", number).what);
  return error;
}

// The path to walk from the root without following any link. Where directories are configured,
// they themselves may be links: that is the operator's business, what lies below is the client's.
Result<std::string> path_to_walk(const std::string& path, const InputRules& rules) {
  if (rules.directories.empty()) {
    std::string real = canonical(path);
    if (real.empty()) return fail(system_error(path, errno));
    return real;
  }
  std::optional<Error> missing;
  for (const std::string& directory : rules.directories) {
    const auto rest = below(path, directory);
    if (rest.empty()) continue;
    const std::string real = canonical(directory);
    if (!real.empty()) return (real == "/" ? "" : real) + std::string(rest);
    missing = directory_error(directory, errno);
  }
  if (missing) return fail(std::move(*missing));
  return not_allowed(path, "is in none of the directories from which weir may upload files");
}

bool is_kernel_tree(int fd) {
  struct statfs about {};
  if (fstatfs(fd, &about) != 0) return false;
  return about.f_type == PROC_SUPER_MAGIC || about.f_type == SYSFS_MAGIC;
}

FileIdentity identity_of(const struct stat& about) {
  FileIdentity identity;
  identity.inode = about.st_ino;
  identity.bytes = about.st_size;
  identity.modified_ns = about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec;
  return identity;
}

// Opens the directory that holds the last component of `path`; sets `name` to that component.
Result<Fd> open_parent(const std::string& path, const std::string& shown,
                       const std::vector<Place>& denied, std::string& name) {
  Fd at(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string_view rest = path;
  for (;;) {
    while (rest.starts_with('/')) rest.remove_prefix(1);
    const auto slash = rest.find('/');
    if (slash == std::string_view::npos) break;
    const std::string component(rest.substr(0, slash));
    rest.remove_prefix(slash);
    if (rest.find_first_not_of('/') == std::string_view::npos) {
      return not_allowed(shown, "is named like a directory");
    }
    Fd next(openat(at.get(), component.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (next.get() < 0) return fail(system_error(shown, errno));
    struct stat about {};
    if (fstat(next.get(), &about) != 0) return fail(system_error(shown, errno));
    if (S_ISLNK(about.st_mode)) return fail(system_error(shown, ELOOP));
    if (!S_ISDIR(about.st_mode)) return fail(system_error(shown, ENOTDIR));
    if (std::find(denied.begin(), denied.end(), place_of(about)) != denied.end()) {
      return not_allowed(shown, "is in a directory that weir never uploads from");
    }
    at = std::move(next);
  }
  name = rest;
  if (name.empty() || name == "." || name == "..") {
    return not_allowed(shown, "is not a regular file");
  }
  return at;
}

}  // namespace

InputFile::~InputFile() { close(fd_); }

Result<FileIdentity> InputFile::current() const {
  struct stat about {};
  if (fstat(fd_, &about) != 0) return fail(os_error("look at the file", errno));
  return identity_of(about);
}

Result<void> InputFile::read(std::int64_t offset, MutableBytes to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t bytes =
        pread(fd_, to.data() + done, to.size() - done, offset + static_cast<std::int64_t>(done));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return fail(os_error("read the file", errno));
    if (bytes == 0) return fail(Errc::kConflict, "the file became shorter while it was uploaded");
    done += static_cast<std::size_t>(bytes);
  }
  return {};
}

Result<std::unique_ptr<InputFile>> open_input(const std::string& path, const InputRules& rules) {
  WEIR_TRY(const std::string walked, path_to_walk(path, rules));
  const auto denied = denied_places(rules);
  std::string name;
  WEIR_TRY(const Fd parent, open_parent(walked, path, denied, name));
  // Looked at before it is opened: opening alone does something to a device or a FIFO.
  struct stat before {};
  if (fstatat(parent.get(), name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(system_error(path, errno));
  }
  if (S_ISLNK(before.st_mode)) return fail(system_error(path, ELOOP));
  if (!S_ISREG(before.st_mode)) return not_allowed(path, "is not a regular file");
  Fd file(openat(parent.get(), name.c_str(),
                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return fail(system_error(path, errno));
  struct stat about {};
  if (fstat(file.get(), &about) != 0) return fail(system_error(path, errno));
  if (!S_ISREG(about.st_mode)) return not_allowed(path, "is not a regular file");
  if (std::find(denied.begin(), denied.end(), place_of(about)) != denied.end() ||
      is_kernel_tree(file.get())) {
    return not_allowed(path, "is one that weir never uploads");
  }
  return std::make_unique<InputFile>(file.release(), identity_of(about));
}

}  // namespace weir::destination::s3
