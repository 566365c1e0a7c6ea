#pragma once

#include "destination/http_transport.h"
#include "exporter/destination.h"

#include <string>
#include <string_view>

namespace weir::destination {

/// A refusal by an AWS service that speaks JSON, read and classified.
struct AwsError {
  exporter::FailureClass failure = exporter::FailureClass::kNone;
  std::string code;     ///< "" when the answer named none
  std::string message;  ///< as the service wrote it, not escaped

  /// "AccessDeniedException: not authorized" or "HTTP 503", cut and escaped.
  [[nodiscard]] std::string text(int status) const;
};

/// Reads an answer whose status is not 2xx. Never fails: an empty body, HTML or half a JSON
/// document leaves the status to decide (destinations.md §1.3 and §2).
///
/// `kPoison` means "poison or bug": poison only once a single record alone is refused so.
/// `kClock` is for codes a wrong clock explains, `kCredentials` for keys that a refresh may cure.
/// Whatever nobody can name becomes kBug: kept and retried slowly, never dropped. Pure.
AwsError read_aws_error(const HttpResponse& response);

/// The class of one error code, kNone if the code is unknown. Pure.
exporter::FailureClass classify_aws_code(std::string_view code, std::string_view message);

/// True for a signature that does not fit the keys: once a clock check and a refresh of the keys
/// changed nothing, the secret is wrong. Pure.
bool blames_secret(std::string_view code, std::string_view message);

/// The class that the bare status decides. Pure.
exporter::FailureClass classify_status(int status);

}  // namespace weir::destination
