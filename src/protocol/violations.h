#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::protocol {

/// Where a field stands: `definition.exportDefinition.kinesis[0].batchSize`. Lives on the stack,
/// each linked to the one around it; becomes text only when something is wrong.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;
  std::int64_t index = -1;  ///< position in the list `parent`, where there is no name

  [[nodiscard]] std::string text() const;
};

/// What is wrong with a request, field by field. At most kMax are kept: an answer stays short
/// whatever was sent.
class Violations {
 public:
  static constexpr std::size_t kMax = 16;

  /// Only the first violation of a field counts; so do none inside a field that is wrong itself.
  void add(const Path& path, std::string_view reason);
  [[nodiscard]] bool empty() const { return listed_.empty(); }
  /// "<path>: <reason>", joined by "; ".
  [[nodiscard]] std::string text() const;

 private:
  struct Violation {
    std::string path;
    std::string reason;
  };
  std::vector<Violation> listed_;
  bool more_ = false;
};

}  // namespace weir::protocol
