#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace weir::destination::credentials {

inline constexpr auto kProcessTimeout = std::chrono::seconds(60);

/// Splits a command as a shell does, quotes and backslashes included, but expands nothing.
/// Errors: kInvalidArgument (a quote is not closed, nothing there). Pure.
Result<std::vector<std::string>> split_command(std::string_view command);

/// Runs a program without a shell and returns what it printed. Its standard error and input are
/// nothing; it is killed with its children when it takes too long, prints more than 64 KiB or
/// `stop` is requested.
///
/// Errors: kIo (cannot be started), kUnavailable (took too long, exit status), kInvalidArgument
/// (too much output), kCancelled. Texts name the program, never its arguments or its output.
Result<std::string> run_process(const std::vector<std::string>& arguments, Duration timeout,
                                const std::stop_token& stop);

}  // namespace weir::destination::credentials
