#pragma once

namespace weir {

/// Logs the broken invariant and aborts. Use `WEIR_CHECK`.
[[noreturn]] void check_failed(const char* condition, const char* file, int line, const char* why);

}  // namespace weir

/// An invariant of our own code, on in release builds too. Never for input from outside.
#define WEIR_CHECK(condition, why)                               \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::weir::check_failed(#condition, __FILE__, __LINE__, why); \
  } while (false)
