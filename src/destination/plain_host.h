#pragma once

#include <string>

namespace weir::destination {

/// Whether `host`, as `Url::host` has it, is this machine: 127.0.0.0/8, ::1 or localhost. What is
/// sent there in the clear is seen by nobody else. Pure.
bool is_this_machine(const std::string& host);

/// Whether credentials may be fetched from there in the clear: this machine, and the addresses of
/// container platforms (destinations.md §21.2). Pure.
bool is_plain_credentials_host(const std::string& host);

}  // namespace weir::destination
