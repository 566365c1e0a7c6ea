#pragma once

#include "base/pause.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

/// For tests only.
namespace weir::testing {

/// How long a test waits for what must happen before it fails. Never a pause: where much else goes
/// on, what takes a second takes a minute.
inline constexpr std::chrono::seconds kPatience{120};

/// Waits until `holds()`; false if it does not within `kPatience`. Between two looks it leaves the
/// processor to those it waits for, who may have a lower priority.
template <class Condition>
bool eventually(const Condition& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    pause_for(std::chrono::milliseconds(1), {});
  }
  return true;
}

/// A directory that is gone when the test ends.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  /// Of the directory, or of something in it.
  [[nodiscard]] std::string path(const std::string& name = {}) const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }
  /// Makes a file, and the directories it lies in; returns its path.
  std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    std::filesystem::permissions(file, static_cast<std::filesystem::perms>(mode));
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace weir::testing
