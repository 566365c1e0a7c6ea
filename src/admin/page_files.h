#pragma once

#include <span>
#include <string_view>

namespace weir::admin {

/// One file of the dashboard, as it was when weir was built.
struct PageFile {
  std::string_view name;
  std::string_view plain;
  std::string_view gzip;
};

/// All files of `page/`.
std::span<const PageFile> page_files();

}  // namespace weir::admin
