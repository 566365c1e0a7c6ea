#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace weir {

/// What a caller can act on. Finer questions get their own narrow enum in the folder that asks
/// them.
enum class Errc : unsigned char {
  kInvalidArgument,  ///< the request is wrong in itself
  kNotFound,
  kAlreadyExists,
  kConflict,     ///< valid in itself, but not for the present state
  kFull,         ///< a limit the user set is reached; nothing was changed
  kIo,           ///< the operating system refused; `os_errno` says why
  kCorrupt,      ///< stored data is damaged
  kUnavailable,  ///< may work later
  kCancelled,
  kUnsupported,
};

/// Why something failed. `what` reads outermost first: "open stream 7: read segment 42: short
/// read".
struct Error {
  Errc code = Errc::kUnavailable;
  std::string what;
  int os_errno = 0;
};

/// An `Error` for a failed system call: "`doing`: <text of errno>".
Error os_error(std::string_view doing, int os_errno);

/// The same error with `context + ": "` in front of its text.
Error with_context(std::string_view context, Error error);

/// A value or an `Error`; never silently dropped.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

/// Makes the failure side of any `Result`.
inline tl::unexpected<Error> fail(Errc code, std::string what, int os_errno = 0) {
  return tl::unexpected<Error>(Error{code, std::move(what), os_errno});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace weir

#define WEIR_CONCAT_INNER(a, b) a##b
#define WEIR_CONCAT(a, b) WEIR_CONCAT_INNER(a, b)

/// `WEIR_TRY(auto file, open(path));` declares `file` or returns the error.
#define WEIR_TRY(declaration, expression) \
  WEIR_TRY_INNER(WEIR_CONCAT(weir_result_, __LINE__), declaration, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared cannot stand in parentheses.
#define WEIR_TRY_INNER(result, declaration, expression)        \
  auto result = (expression);                                  \
  if (!result) return ::weir::fail(std::move(result).error()); \
  declaration = std::move(*result)
// NOLINTEND(bugprone-macro-parentheses)

/// Returns the error of a `Result<void>` (or any other `Result`) from the enclosing function.
#define WEIR_RETURN_IF_ERROR(expression)                   \
  do {                                                     \
    if (auto weir_status = (expression); !weir_status)     \
      return ::weir::fail(std::move(weir_status).error()); \
  } while (false)
