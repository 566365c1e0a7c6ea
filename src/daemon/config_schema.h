#pragma once

#include <string>

namespace weir::daemon {

/// The configuration as a JSON Schema (2020-12), for editors and for those who check files before
/// they roll them out. It knows names, types, ranges and choices; what `weir validate` knows beyond
/// that, such as which keys belong together, it does not say.
std::string config_schema_json();

}  // namespace weir::daemon
