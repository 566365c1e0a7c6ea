#pragma once

#include "base/result.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace weir::daemon {

/// The tokens of a file, as digests only (reliability.md §4.4).
class TokenList {
 public:
  /// One token per line, exact bytes, no comments; empty lines are ignored.
  /// Errors: kIo; kInvalidArgument (others may read the file, it has no tokens or too many).
  static Result<TokenList> load(const std::string& path);

  /// Whether `token` is on the list; takes the same time whatever it is.
  [[nodiscard]] bool contains(std::string_view token) const;
  [[nodiscard]] std::size_t size() const { return digests_.size(); }

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest_of(std::string_view token);
  std::vector<Digest> digests_;
};

}  // namespace weir::daemon
