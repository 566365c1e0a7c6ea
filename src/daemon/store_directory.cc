#include "daemon/store_directory.h"

#include "base/log.h"

#include <cerrno>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::daemon {
namespace {

Result<void> make_directories(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      const int reason = errno;
      struct stat info {};
      // A parent that cannot be written to but is there is no obstacle.
      if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return fail(os_error(fmt::format("cannot create the store directory '{}': mkdir '{}'",
                                         log::escaped(path), log::escaped(part)),
                             reason));
      }
    }
    if (at == std::string::npos) return {};
  }
}

std::string advice(int reason) {
  if (reason == EACCES) return "; make it readable and writable for the user that runs weir";
  if (reason == EROFS) return "; the file system is mounted read-only";
  return {};
}

}  // namespace

Result<std::vector<std::string>> prepare_store_directory(const std::string& path, bool must_exist) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      const int reason = errno;
      Error error = os_error(fmt::format("store directory '{}'", log::escaped(path)), reason);
      error.what += advice(reason);
      return fail(std::move(error));
    }
    if (must_exist) {
      return fail(Errc::kNotFound,
                  fmt::format("store directory '{}' does not exist; create it, or set "
                              "STREAM_MANAGER_STORE_ROOT_DIR to one that does",
                              log::escaped(path)));
    }
    WEIR_RETURN_IF_ERROR(make_directories(path));
    if (::stat(path.c_str(), &info) != 0) {
      return fail(os_error(fmt::format("store directory '{}'", log::escaped(path)), errno));
    }
  }
  if (!S_ISDIR(info.st_mode)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("store directory '{}' is not a directory", log::escaped(path)));
  }
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    const int reason = errno;
    Error error = os_error(fmt::format("store directory '{}'", log::escaped(path)), reason);
    error.what += advice(reason);
    return fail(std::move(error));
  }
  std::vector<std::string> warnings;
  if ((info.st_mode & 077U) != 0) {
    warnings.push_back(
        fmt::format("The store directory can be read or written by other users; "
                    "chmod 700 '{}' keeps stored messages private.",
                    log::escaped(path)));
  }
  if (info.st_uid != ::geteuid()) {
    warnings.push_back(
        fmt::format("The store directory '{}' belongs to another user.", log::escaped(path)));
  }
  return warnings;
}

}  // namespace weir::daemon
