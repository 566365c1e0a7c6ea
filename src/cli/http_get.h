#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>

namespace weir::cli {

/// GET http://`host`:`port``path`, without proxies. Blocks, at most about 5 s. Errors: nothing
/// answers, or not with 200; the text says what to do.
Result<std::string> http_get(const std::string& host, std::int64_t port, const std::string& path);

}  // namespace weir::cli
