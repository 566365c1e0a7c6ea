#include "destination/http/response.h"

#include "base/log.h"
#include "destination/http_date.h"

namespace weir::destination::http {
namespace {

using exporter::FailureClass;

FailureClass class_of(int status) {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return FailureClass::kPoison;
    case 408:
    case 425:
      return FailureClass::kTransient;
    case 429:
      return FailureClass::kThrottle;
    default:
      return status >= 500 ? FailureClass::kTransient : FailureClass::kOperator;
  }
}

std::string text_of(const HttpResponse& response) {
  std::string text = "HTTP " + std::to_string(response.status);
  if (response.status >= 300 && response.status < 400) {
    text += ": redirects are not followed; set the uri to the final address";
    const auto location = response.header("location");
    if (!location.empty()) (text += ", perhaps ") += location;
  }
  return text;
}

}  // namespace

Judgement judge(const HttpResponse& response, std::int64_t now_wall_ms) {
  if (!response.complete()) {
    const std::string text = response.status == 0
                                 ? "no answer: " + response.error
                                 : "an answer with status " + std::to_string(response.status) +
                                       " is not whole: " + response.error;
    return {FailureClass::kTransient, log::escaped(text), std::nullopt};
  }
  if (response.status >= 200 && response.status <= 299) return {};
  return {class_of(response.status), log::escaped(text_of(response)),
          parse_retry_after(response.header("retry-after"), now_wall_ms)};
}

}  // namespace weir::destination::http
