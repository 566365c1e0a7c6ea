#pragma once

#include "daemon/config.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// Takes secrets out of texts that leave the machine: known ones wherever they stand, and what
/// looks like one by what stands before it.
class Redactor {
 public:
  /// Shorter ones would be found in everything.
  static constexpr std::size_t kSecretBytesMin = 6;

  /// A text that must not be seen. Also as it looks inside JSON.
  void add(const std::string& secret);
  /// Each line of the file, if it can be read and has at most 1 MiB. Blocks: on disk.
  void add_lines_of(const std::string& file);
  /// Everything secret that a configuration knows of: keys of the environment, headers, the
  /// contents of the files that it names for tokens, passwords and keys. Blocks: on disk.
  void add_secrets_of(const Config& config);

  /// The text without them; of URLs also without user names and queries.
  [[nodiscard]] std::string redact(std::string_view text) const;

 private:
  std::vector<std::string> secrets_;  // the longest first
};

}  // namespace weir::daemon
