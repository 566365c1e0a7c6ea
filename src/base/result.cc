#include "base/result.h"

#include "base/check.h"
#include "base/log.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace weir {

Error os_error(std::string_view doing, int os_errno) {
  std::string what(doing);
  what += ": ";
  what += std::generic_category().message(os_errno);
  return Error{Errc::kIo, std::move(what), os_errno};
}

Error with_context(std::string_view context, Error error) {
  std::string what(context);
  what += ": ";
  what += error.what;
  error.what = std::move(what);
  return error;
}

void check_failed(const char* condition, const char* file, int line, const char* why) {
  log::error("An invariant of weir is broken; stopping before it does harm.",
             {{"condition", condition}, {"file", file}, {"line", line}, {"why", why}});
  std::abort();
}

}  // namespace weir
