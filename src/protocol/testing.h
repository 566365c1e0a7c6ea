#pragma once

#include "protocol/codec.h"

#include <string>
#include <string_view>
#include <vector>

/// Help for the tests of this folder: hexadecimal, the golden vectors, CBOR by hand.
namespace weir::protocol::testing {

struct Vector {
  std::string name;
  std::string request;   ///< hexadecimal of the whole frame, or empty
  std::string response;  ///< the same
};
/// tests/golden/protocol_vectors.json.
const std::vector<Vector>& vectors();

std::string from_hex(std::string_view hex);  ///< spaces are ignored
std::string to_hex(Bytes bytes);

/// The one frame that `bytes` is.
Frame frame_of(std::string_view bytes);

}  // namespace weir::protocol::testing
