#pragma once

#include <string>

/// Values as a Greengrass nucleus hands them on: its documents know only floating point numbers,
/// and it leaves a recipe variable standing for which it has no value. Pure.
namespace weir::daemon {

/// "8088" for "8088.0", "10000000" for " 1.0E7 "; anything that is not a whole number, without the
/// blanks around it.
std::string whole_number_text(const std::string& text);

/// Whether it is a recipe variable that was not filled in: "{configuration:/LOG_LEVEL}".
bool is_unfilled_variable(const std::string& text);

}  // namespace weir::daemon
