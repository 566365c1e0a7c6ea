#include "stream/aside.h"

#include "stream/copy.h"
#include "stream/layout.h"

#include <algorithm>

namespace weir::stream {
namespace {

constexpr int kRepairsMax = 10'000;
constexpr int kSameNameMax = 10'000;

bool is_there(file::FileSystem& disk, const std::string& directory, const std::string& name) {
  const auto names = disk.list(directory);
  return names && std::any_of(names->begin(), names->end(),
                              [&](const file::Entry& entry) { return entry.name == name; });
}

Result<void> make_directory(file::FileSystem& disk, const std::string& path) {
  auto made = disk.make_directory(path);
  if (!made && made.error().code != Errc::kAlreadyExists) return made;
  return {};
}

}  // namespace

Result<std::string> Aside::new_place(const std::string& path) {
  if (directory_.empty()) {
    WEIR_RETURN_IF_ERROR(make_directory(disk_, std::string(layout::kQuarantine)));
    for (int number = 1; directory_.empty(); ++number) {
      if (number > kRepairsMax) return fail(Errc::kFull, "too many repairs are in the quarantine");
      const std::string candidate =
          layout::join(layout::kQuarantine, "repair-" + std::to_string(number));
      const auto made = disk_.make_directory(candidate);
      if (!made && made.error().code != Errc::kAlreadyExists) return fail(made.error());
      if (made) directory_ = candidate;
    }
    WEIR_RETURN_IF_ERROR(disk_.sync_directory(layout::kQuarantine));
  }
  std::string name = path;
  std::replace(name.begin(), name.end(), '/', '-');
  std::string free = name;
  for (int again = 2; is_there(disk_, directory_, free); ++again) {
    if (again > kSameNameMax) return fail(Errc::kFull, "too many files of one name set aside");
    free = name + "." + std::to_string(again);
  }
  return layout::join(directory_, free);
}

Result<std::string> Aside::move(const std::string& path) {
  WEIR_TRY(std::string to, new_place(path));
  WEIR_RETURN_IF_ERROR(disk_.rename(path, to));
  WEIR_RETURN_IF_ERROR(disk_.sync_directory(directory_));
  const auto slash = path.rfind('/');
  WEIR_RETURN_IF_ERROR(
      disk_.sync_directory(slash == std::string::npos ? "" : path.substr(0, slash)));
  return to;
}

Result<std::string> Aside::copy(const std::string& path, std::uint64_t offset,
                                std::uint64_t bytes) {
  WEIR_TRY(std::string to, new_place(path));
  WEIR_TRY(const Copied copied, copy_part(disk_, path, offset, bytes, to));
  WEIR_RETURN_IF_ERROR(copied.file->sync());
  WEIR_RETURN_IF_ERROR(disk_.sync_directory(directory_));
  return to;
}

}  // namespace weir::stream
