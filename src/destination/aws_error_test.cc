#include "destination/aws_error.h"

#include "destination/testing/scripted_transport.h"

#include <gtest/gtest.h>
#include <map>

namespace weir::destination {
namespace {

using exporter::FailureClass;
using testing::answer;

// destinations.md §2, typed out a second time on purpose.
const std::map<FailureClass, std::vector<const char*>> kTable = {
    {FailureClass::kTransient,
     {"InternalFailure", "InternalFailureException", "InternalServerError",
      "InternalServerException", "InternalError", "InternalServiceFault", "ServiceUnavailable",
      "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException",
      "PriorRequestNotComplete", "BadDigest", "IDPCommunicationError"}},
    {FailureClass::kThrottle,
     {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
      "RequestThrottledException", "TooManyRequestsException",
      "ProvisionedThroughputExceededException", "RequestLimitExceeded", "BandwidthLimitExceeded",
      "LimitExceededException", "SlowDown", "TransactionInProgressException",
      "EC2ThrottledException", "KMSThrottlingException", "KmsThrottled"}},
    {FailureClass::kCredentials,
     {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
      "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken",
      "InvalidSecurityToken", "InvalidSignatureException"}},
    {FailureClass::kClock,
     {"RequestTimeTooSkewed", "RequestInTheFuture", "RequestExpired", "SignatureDoesNotMatch",
      "AuthFailure"}},
    {FailureClass::kOperator,
     {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError",
      "OptInRequired", "SubscriptionRequiredException", "ResourceNotFoundException",
      "KMSDisabledException", "KMSInvalidStateException", "KMSAccessDeniedException",
      "KMSNotFoundException", "KMSOptInRequired", "RegionDisabledException"}},
    {FailureClass::kPoison,
     {"ValidationException", "InvalidArgumentException", "InvalidRequestException",
      "InvalidParameterValue"}},
    {FailureClass::kBug,
     {"SerializationException", "UnknownOperationException", "MissingAuthenticationToken",
      "MissingAuthenticationTokenException", "IncompleteSignature", "IncompleteSignatureException",
      "MissingParameter", "MalformedXML"}},
};

TEST(AwsErrorTable, EveryCodeHasItsClassWhereverItIsWritten) {
  for (const auto& [failure, codes] : kTable) {
    for (const std::string code : codes) {
      const std::string body = R"({"__type":"com.amazonaws.x#)" + code + R"(","message":"m"})";
      EXPECT_EQ(read_aws_error(answer(400, body)).failure, failure) << code;
      const auto in_header =
          read_aws_error(answer(400, "", {{"x-amzn-errortype", code + ":http://x/"}}));
      EXPECT_EQ(in_header.failure, failure) << code;
      EXPECT_EQ(in_header.code, code);
      // The code decides, not the status: "expired" comes with 400 and with 403.
      EXPECT_EQ(read_aws_error(answer(403, body)).failure, failure) << code;
    }
  }
}

TEST(AwsErrorTable, EveryStatusWithoutACodeHasItsClass) {
  const std::map<int, FailureClass> statuses = {
      {500, FailureClass::kTransient}, {502, FailureClass::kTransient},
      {503, FailureClass::kTransient}, {504, FailureClass::kTransient},
      {408, FailureClass::kTransient}, {302, FailureClass::kTransient},
      {429, FailureClass::kThrottle},  {509, FailureClass::kThrottle},
      {413, FailureClass::kPoison},    {401, FailureClass::kOperator},
      {403, FailureClass::kOperator},  {404, FailureClass::kOperator},
      {407, FailureClass::kOperator},  {400, FailureClass::kBug},
      {418, FailureClass::kBug}};
  for (const auto& [status, failure] : statuses) {
    for (const char* body : {"", "<html>no</html>", "{", "[]", "null", "{\"__type\":7}",
                             "{\"__type\":\"SomethingNew\"}"}) {
      EXPECT_EQ(read_aws_error(answer(status, body)).failure, failure) << status << " " << body;
    }
  }
}

TEST(AwsErrorTable, ASignatureThatExpiredIsAMatterOfTheClock) {
  for (const char* text : {"Signature expired: 2026 is now earlier than 2027",
                           "Signature not yet current: 2027 is still later than 2026"}) {
    const std::string body =
        std::string(R"({"__type":"InvalidSignatureException","message":")") + text + "\"}";
    EXPECT_EQ(read_aws_error(answer(400, body)).failure, FailureClass::kClock);
    EXPECT_FALSE(blames_secret("InvalidSignatureException", text));
  }
}

TEST(AwsErrorTable, ASignatureThatDoesNotFitBlamesTheSecret) {
  const char* text = "The request signature we calculated does not match the one you provided.";
  for (const char* code : {"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"}) {
    EXPECT_TRUE(blames_secret(code, text)) << code;
  }
  EXPECT_FALSE(blames_secret("ExpiredToken", text));
}

TEST(AwsErrorTable, AServerErrorIsNeverTheFaultOfARecord) {
  EXPECT_EQ(read_aws_error(answer(500, R"({"__type":"ValidationException"})")).failure,
            FailureClass::kTransient);
}

TEST(AwsErrorText, NamesCodeAndMessageInEitherSpelling) {
  EXPECT_EQ(read_aws_error(answer(400, R"({"__type":"a#XException","Message":"why"})")).text(400),
            "XException: why");
  EXPECT_EQ(read_aws_error(answer(400, R"({"__type":"XException","message":"why"})")).text(400),
            "XException: why");
  EXPECT_EQ(read_aws_error(answer(503, "<html>")).text(503), "HTTP 503");
}

TEST(AwsErrorText, CannotForgeLogLinesOrFillThem) {
  const std::string body = R"({"__type":"XException","message":"a\nERROR forged\u001b[31m)" +
                           std::string(5000, 'x') + "\"}";
  const std::string text = read_aws_error(answer(400, body)).text(400);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LE(text.size(), 300U);
}

}  // namespace
}  // namespace weir::destination
