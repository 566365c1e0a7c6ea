#include "destination/aws_error.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace weir::destination {
namespace {

using exporter::FailureClass;

struct Row {
  std::string_view code;
  FailureClass failure;
};

// destinations.md §2, class by class.
constexpr std::array kRows = {
    Row{"InternalFailure", FailureClass::kTransient},
    Row{"InternalFailureException", FailureClass::kTransient},
    Row{"InternalServerError", FailureClass::kTransient},
    Row{"InternalServerException", FailureClass::kTransient},
    Row{"InternalError", FailureClass::kTransient},
    Row{"InternalServiceFault", FailureClass::kTransient},
    Row{"ServiceUnavailable", FailureClass::kTransient},
    Row{"ServiceUnavailableException", FailureClass::kTransient},
    Row{"RequestTimeout", FailureClass::kTransient},
    Row{"RequestTimeoutException", FailureClass::kTransient},
    Row{"PriorRequestNotComplete", FailureClass::kTransient},
    Row{"BadDigest", FailureClass::kTransient},
    Row{"IDPCommunicationError", FailureClass::kTransient},

    Row{"Throttling", FailureClass::kThrottle},
    Row{"ThrottlingException", FailureClass::kThrottle},
    Row{"ThrottledException", FailureClass::kThrottle},
    Row{"RequestThrottled", FailureClass::kThrottle},
    Row{"RequestThrottledException", FailureClass::kThrottle},
    Row{"TooManyRequestsException", FailureClass::kThrottle},
    Row{"ProvisionedThroughputExceededException", FailureClass::kThrottle},
    Row{"RequestLimitExceeded", FailureClass::kThrottle},
    Row{"BandwidthLimitExceeded", FailureClass::kThrottle},
    Row{"LimitExceededException", FailureClass::kThrottle},
    Row{"SlowDown", FailureClass::kThrottle},
    Row{"TransactionInProgressException", FailureClass::kThrottle},
    Row{"EC2ThrottledException", FailureClass::kThrottle},
    Row{"KMSThrottlingException", FailureClass::kThrottle},
    Row{"KmsThrottled", FailureClass::kThrottle},

    Row{"ExpiredToken", FailureClass::kCredentials},
    Row{"ExpiredTokenException", FailureClass::kCredentials},
    Row{"TokenRefreshRequired", FailureClass::kCredentials},
    Row{"UnrecognizedClientException", FailureClass::kCredentials},
    Row{"InvalidClientTokenId", FailureClass::kCredentials},
    Row{"InvalidAccessKeyId", FailureClass::kCredentials},
    Row{"InvalidToken", FailureClass::kCredentials},
    Row{"InvalidSecurityToken", FailureClass::kCredentials},

    Row{"RequestTimeTooSkewed", FailureClass::kClock},
    Row{"RequestInTheFuture", FailureClass::kClock},
    Row{"RequestExpired", FailureClass::kClock},
    Row{"SignatureDoesNotMatch", FailureClass::kClock},
    Row{"AuthFailure", FailureClass::kClock},

    Row{"AccessDenied", FailureClass::kOperator},
    Row{"AccessDeniedException", FailureClass::kOperator},
    Row{"UnauthorizedOperation", FailureClass::kOperator},
    Row{"AuthorizationError", FailureClass::kOperator},
    Row{"OptInRequired", FailureClass::kOperator},
    Row{"SubscriptionRequiredException", FailureClass::kOperator},
    Row{"ResourceNotFoundException", FailureClass::kOperator},
    Row{"KMSDisabledException", FailureClass::kOperator},
    Row{"KMSInvalidStateException", FailureClass::kOperator},
    Row{"KMSAccessDeniedException", FailureClass::kOperator},
    Row{"KMSNotFoundException", FailureClass::kOperator},
    Row{"KMSOptInRequired", FailureClass::kOperator},
    Row{"RegionDisabledException", FailureClass::kOperator},

    Row{"ValidationException", FailureClass::kPoison},
    Row{"InvalidArgumentException", FailureClass::kPoison},
    Row{"InvalidRequestException", FailureClass::kPoison},
    Row{"InvalidParameterValue", FailureClass::kPoison},

    Row{"SerializationException", FailureClass::kBug},
    Row{"UnknownOperationException", FailureClass::kBug},
    Row{"MissingAuthenticationToken", FailureClass::kBug},
    Row{"MissingAuthenticationTokenException", FailureClass::kBug},
    Row{"IncompleteSignature", FailureClass::kBug},
    Row{"IncompleteSignatureException", FailureClass::kBug},
    Row{"MissingParameter", FailureClass::kBug},
    Row{"MalformedXML", FailureClass::kBug},
};

std::string member(const nlohmann::json& document, const char* name) {
  const auto found = document.find(name);
  return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "com.amazon.coral.service#AccessDeniedException:http://..." -> "AccessDeniedException"
std::string bare_code(std::string_view code) {
  if (const auto hash = code.rfind('#'); hash != std::string_view::npos) {
    code.remove_prefix(hash + 1);
  }
  return std::string(code.substr(0, code.find(':')));
}

}  // namespace

FailureClass classify_aws_code(std::string_view code, std::string_view message) {
  if (code == "InvalidSignatureException") {
    const bool clock = message.find("Signature expired") != std::string_view::npos ||
                       message.find("Signature not yet current") != std::string_view::npos;
    return clock ? FailureClass::kClock : FailureClass::kCredentials;
  }
  const auto* row =
      std::find_if(kRows.begin(), kRows.end(), [code](const Row& r) { return r.code == code; });
  return row == kRows.end() ? FailureClass::kNone : row->failure;
}

bool blames_secret(std::string_view code, std::string_view message) {
  if (code == "SignatureDoesNotMatch" || code == "AuthFailure") return true;
  return code == "InvalidSignatureException" &&
         classify_aws_code(code, message) != FailureClass::kClock;
}

FailureClass classify_status(int status) {
  switch (status) {
    case 401:
    case 403:
    case 404:
    case 407:
      return FailureClass::kOperator;
    case 408:
    case 425:
      return FailureClass::kTransient;
    case 413:
      return FailureClass::kPoison;
    case 429:
    case 509:
      return FailureClass::kThrottle;
    default:
      // A redirect is what captive portals answer: it goes away with them.
      if (status >= 500 || (status >= 300 && status < 400)) return FailureClass::kTransient;
      return FailureClass::kBug;
  }
}

AwsError read_aws_error(const HttpResponse& response) {
  AwsError error;
  error.code = bare_code(response.header("x-amzn-errortype"));
  const auto document = nlohmann::json::parse(response.body, nullptr, false);
  if (document.is_object()) {
    if (error.code.empty()) error.code = bare_code(member(document, "__type"));
    error.message = member(document, "message");
    if (error.message.empty()) error.message = member(document, "Message");
  }
  error.failure = classify_aws_code(error.code, error.message);
  const bool blames_itself = response.status >= 500 && error.failure == FailureClass::kPoison;
  if (error.failure == FailureClass::kNone || blames_itself) {
    error.failure = classify_status(response.status);
  }
  return error;
}

std::string AwsError::text(int status) const {
  std::string out = code.empty() ? "HTTP " + std::to_string(status) : code;
  if (!message.empty()) (out += ": ") += message;
  return log::escaped(out);
}

}  // namespace weir::destination
