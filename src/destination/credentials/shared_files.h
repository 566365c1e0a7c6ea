#pragma once

#include "base/result.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination::credentials {

/// A value of the shared files and where it stands.
struct FileValue {
  std::string text;
  std::string where;                               ///< "~/.aws/config:12"
  std::map<std::string, std::string> nested = {};  ///< indented lines below a key without value
};

using FileSection = std::map<std::string, FileValue>;

/// A file of the AWS tools taken apart. Sections keep their names as written, blanks collapsed:
/// "default", "profile edge", "services local".
struct SharedFile {
  std::map<std::string, FileSection> sections;
};

/// Reads the text of such a file; `name` stands for it in errors.
///
/// Errors: kInvalidArgument, naming the line but never repeating it: it may hold a secret. Pure.
Result<SharedFile> parse_shared_file(std::string_view text, const std::string& name);

/// The profiles of both files, as they are on disk now.
class Profiles {
 public:
  /// `environment` gives AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE and HOME. A file that is not
  /// there is an empty one. Errors: kIo, kInvalidArgument. Blocks: on disk.
  static Result<Profiles> load(const std::map<std::string, std::string>& environment);

  /// Null if neither file has it. The credentials file wins where both have a key.
  [[nodiscard]] const FileSection* find(const std::string& profile) const;
  /// The section [services `name`], null if there is none.
  [[nodiscard]] const FileSection* services(const std::string& name) const;
  /// The files with tokens that profiles name.
  [[nodiscard]] std::vector<std::string> token_files() const;
  /// "~/.aws/credentials or ~/.aws/config", for messages; "" when no file is named.
  [[nodiscard]] const std::string& files() const { return files_; }

 private:
  std::map<std::string, FileSection> profiles_;
  std::map<std::string, FileSection> services_;
  std::string files_;
};

}  // namespace weir::destination::credentials
