#pragma once

#include "base/result.h"
#include "destination/url.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace weir::destination::http {

/// Checks the `uri` of an HTTP export, which a client chose (reliability.md §4.6): http or https,
/// no user information, no fragment, no control characters, a port from 1 to 65535, and not an
/// address that `address_refusal` forbids. Names are checked again when they are resolved. Pure.
///
/// Errors: kInvalidArgument, saying what is wrong.
Result<Url> check_target(std::string_view uri, const std::vector<std::uint16_t>& own_ports = {});

}  // namespace weir::destination::http
