#pragma once

#include "base/result.h"
#include "daemon/config.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Which files a configuration is made of, and whether they are whole.
namespace weir::daemon {

/// How many files a directory of further ones may have, and how many bytes all files together.
inline constexpr std::size_t kDropInsMax = 1'000;
inline constexpr std::size_t kAllFilesBytesMax = std::size_t{16} << 20;

struct FoundFiles {
  std::vector<std::string> files;  ///< in the order in which they are read
  std::vector<std::string> notes;  ///< what lies there and is not read, and why
  std::vector<Problem> problems;
};

/// `file` (none if empty) and the `*.yaml` files of `directory` in byte order of their names; an
/// empty `directory` stands for `conf.d` beside the file. Copies that editors and packages leave
/// behind, hidden files, links that lead nowhere and whatever is no regular file are passed over
/// and noted. Blocks: on disk.
FoundFiles find_config_files(const std::string& file, const std::string& directory);

/// The same for what `sources` names; those it lists itself are taken as they are.
FoundFiles find_config_files(const ConfigSources& sources);

/// What `--config` and `--config-dir` of a command stand for: the default file if neither is given.
/// A directory in place of the file stands for weir.yaml in it, or for its files if it has none.
ConfigSources named_sources(const std::string& file, const std::string& directory);

/// The configuration that is read when none is named, if it exists.
inline constexpr const char* kDefaultConfigFile = "/etc/weir/weir.yaml";

/// The whole content, at most `bytes_max` + 1 bytes of it. Errors say what is wrong, without the
/// name. Blocks: on disk.
Result<std::string> read_config_file(const std::string& path, std::size_t bytes_max);

/// How `content` ends: what a later reading is compared with, see `torn_file`.
FileShape shape_of(const std::string& name, std::string_view content);

/// Why `now` may be a file that is still being written, seen beside how the file was before; empty
/// if it looks whole.
std::string torn_file(const FileShape& now, const FileShape* before);

/// SHA-256 in hexadecimal digits.
std::string sha256_of(std::string_view content);

/// Changes when one of the files is replaced or written to. Blocks: on disk.
std::string signature_of(const std::vector<std::string>& files);

}  // namespace weir::daemon
