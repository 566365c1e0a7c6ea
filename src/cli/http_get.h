#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstdint>
#include <string>

namespace weir::cli {

/// GET http://`host`:`port``path`, without proxies. Blocks, at most for `timeout`. Errors: nothing
/// answers, or not with 200; the text says what to do.
Result<std::string> http_get(const std::string& host, std::int64_t port, const std::string& path,
                             Duration timeout = std::chrono::seconds(5));

struct HttpAnswer {
  long status = 0;
  std::string body;
};

/// POST of a JSON document with `token` as the bearer, without proxies. Any answer is a result.
/// Blocks, at most about 15 s. Errors: nothing answers; the text says so where it may be carried
/// out all the same.
Result<HttpAnswer> http_post(const std::string& host, std::int64_t port, const std::string& path,
                             const std::string& json, const std::string& token);

}  // namespace weir::cli
