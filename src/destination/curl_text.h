#pragma once

#include <string>

namespace weir::destination {

/// Why libcurl failed, for people: what it wrote to the buffer `detail`, else its text for the
/// CURLcode `code`. Shows nothing of the proxy variables beyond hosts and ports: they may hold a
/// password. Not escaped. Threads: any.
std::string curl_failure_text(int code, const char* detail);

}  // namespace weir::destination
