#pragma once

#include "base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination::kinesis {

/// One place in JSON documents, named by a JSON pointer (RFC 6901).
///
/// Reads a document front to back without building it: what that takes is not for a client's
/// message to decide. Immutable. Threads: any.
class JsonField {
 public:
  /// Errors: kInvalidArgument (not a JSON pointer).
  static Result<JsonField> create(const std::string& pointer);

  /// The string, number or boolean there. None for null, arrays and objects, where there is
  /// nothing, and if `text` is not JSON. Of members with one name the last counts.
  [[nodiscard]] std::optional<std::string> read(std::string_view text) const;

  /// One step on the way down.
  struct Step {
    std::string name;                  ///< of a member
    std::optional<std::size_t> index;  ///< of an element, if the name can be one
  };

 private:
  std::vector<Step> steps_;
};

}  // namespace weir::destination::kinesis
