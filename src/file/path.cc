#include "file/path.h"

#include <cerrno>

namespace weir::file {

Result<void> check_path(std::string_view path) {
  std::string_view rest = path;
  while (!path.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos) {
      return fail(Errc::kInvalidArgument,
                  "'" + std::string(path) + "' is not a path inside the store", EINVAL);
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return {};
}

SplitPath split_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Error path_error(std::string_view doing, std::string_view path, int os_errno) {
  std::string text(doing);
  text += " '";
  text += path.empty() ? "." : path;
  text += '\'';
  Error error = os_error(text, os_errno);
  if (os_errno == ENOENT) error.code = Errc::kNotFound;
  if (os_errno == EEXIST) error.code = Errc::kAlreadyExists;
  return error;
}

}  // namespace weir::file
