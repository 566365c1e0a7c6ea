#include "destination/probe.h"

#include <gtest/gtest.h>

namespace weir::destination {
namespace {

using exporter::FailureClass;
using Level = ProbeReport::Level;

AwsReply success() {
  AwsReply reply;
  reply.http.status = 200;
  return reply;
}

AwsReply refusal(FailureClass failure, int status, std::string code, std::string message = {}) {
  AwsReply reply;
  reply.failure = failure;
  reply.code = std::move(code);
  reply.message = std::move(message);
  reply.error = reply.code + ": " + reply.message;
  reply.http.status = status;
  return reply;
}

AwsReply denied(std::string message = {}) {
  return refusal(FailureClass::kOperator, 400, "AccessDeniedException", std::move(message));
}

/// What a service says to a call without records: it was allowed, and makes no sense.
AwsReply senseless() { return refusal(FailureClass::kPoison, 400, "ValidationException"); }

ProbeReport judged(AwsReply look, AwsReply write) {
  return judge_calls("stream 's'", {"kinesis:DescribeStreamSummary", std::move(look)},
                     {"kinesis:PutRecords", std::move(write)});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Probe, ACallThatOnlyLacksRecordsIsAllowed) {
  EXPECT_EQ(judged(success(), senseless()).level, Level::kFine);
  EXPECT_EQ(judged(success(), refusal(FailureClass::kBug, 400, "SerializationException")).level,
            Level::kFine);
  EXPECT_EQ(judged(success(), refusal(FailureClass::kTransient, 404, "NoSuchUpload")).level,
            Level::kWarning);
  EXPECT_EQ(judged(success(), success()).level, Level::kFine);
}

TEST(Probe, TheMissingPermissionIsNamedAsTheServiceNamesIt) {
  const auto report =
      judged(success(), denied("User: arn:aws:iam::1:user/x is not authorized to perform: "
                               "kinesis:PutRecords on resource: arn because no policy allows it"));
  EXPECT_EQ(report.level, Level::kProblem);
  EXPECT_EQ(report.permission, "kinesis:PutRecords");
  EXPECT_TRUE(has(report.fix, "allow kinesis:PutRecords")) << report.fix;
}

TEST(Probe, ARefusalWithoutANameIsNamedByTheCall) {
  EXPECT_EQ(judged(success(), denied()).permission, "kinesis:PutRecords");
  EXPECT_EQ(missing_permission("no", "a:B"), "a:B");
  EXPECT_EQ(missing_permission("not authorized to perform: ", "a:B"), "a:B");
  EXPECT_EQ(missing_permission("not authorized to perform: \033[31m:x on", "a:B"), "a:B");
  EXPECT_EQ(missing_permission("not authorized to perform: s3:PutObject", "a:B"), "s3:PutObject");
}

TEST(Probe, APermissionThatOnlyTheLookNeedsIsAWarning) {
  const auto report = judged(denied(), senseless());
  EXPECT_EQ(report.level, Level::kWarning);
  EXPECT_EQ(report.permission, "kinesis:DescribeStreamSummary");
  EXPECT_TRUE(has(report.fix, "weir itself does not need it")) << report.fix;
}

TEST(Probe, WhereNothingIsAllowedThePermissionThatExportsNeedIsNamed) {
  const auto report = judged(denied(), denied());
  EXPECT_EQ(report.level, Level::kProblem);
  EXPECT_EQ(report.permission, "kinesis:PutRecords");
}

TEST(Probe, AStreamThatIsNotThereIsAProblemWhoeverSaysSo) {
  const auto missing = refusal(FailureClass::kOperator, 400, "ResourceNotFoundException");
  EXPECT_TRUE(has(judged(missing, {}).seen, "does not exist"));
  EXPECT_TRUE(has(judged(denied(), missing).seen, "does not exist"));
}

TEST(Probe, WhatHasNothingToDoWithTheDestinationIsSaidOnce) {
  EXPECT_EQ(judged(refusal(FailureClass::kCredentials, 0, ""), {}).level, Level::kNotAsked);
  EXPECT_TRUE(
      has(judged(refusal(FailureClass::kCredentials, 400, "ExpiredTokenException"), {}).seen,
          "does not take the keys"));
  EXPECT_TRUE(has(judged(refusal(FailureClass::kClock, 400, "RequestExpired"), {}).fix, "clock"));
  EXPECT_TRUE(has(judged(refusal(FailureClass::kOperator, 403, "SignatureDoesNotMatch"), {}).fix,
                  "secret key"));
  EXPECT_EQ(judged(refusal(FailureClass::kThrottle, 400, "ThrottlingException"), {}).level,
            Level::kWarning);
  EXPECT_EQ(judged(refusal(FailureClass::kTransient, 503, ""), {}).level, Level::kWarning);
  auto unreachable = refusal(FailureClass::kTransient, 0, "");
  unreachable.http.connection_failed = true;
  EXPECT_EQ(judged(unreachable, {}).level, Level::kProblem);
}

}  // namespace
}  // namespace weir::destination
