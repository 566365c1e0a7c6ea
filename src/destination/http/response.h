#pragma once

#include "destination/http_transport.h"
#include "exporter/destination.h"

#include <cstdint>
#include <string>

namespace weir::destination::http {

/// What an answer to a POST means (destinations.md §9).
struct Judgement {
  exporter::FailureClass failure = exporter::FailureClass::kNone;
  std::string error;  ///< cut and escaped; empty when delivered
  std::optional<Duration> retry_after;
};

/// Judges a whole or broken answer. 2xx is a success. 400, 413 and 422 are `kPoison`: a refusal of
/// this content. Everything else in 3xx and 4xx concerns the address, the rights or the form of
/// all requests alike, so somebody must look and nothing is dropped. Pure.
Judgement judge(const HttpResponse& response, std::int64_t now_wall_ms);

}  // namespace weir::destination::http
