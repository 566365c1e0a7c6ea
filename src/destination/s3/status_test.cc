#include "destination/s3/status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::destination::s3 {
namespace {

const TaskName kTask = {"uploads", "to \"s3\"", SequenceNumber(41)};

TEST(Status, HasEveryMemberWhereTheSdksLookForIt) {
  const std::string echo = R"({"inputUrl":"file:/a","bucket":"b","key":"k"})";
  const std::string text =
      status_message(kTask, echo, {TaskStatus::kSuccess, model::StatusLevel::kInfo, "done \xff\n"},
                     1'700'000'000'000);
  EXPECT_EQ(text, R"({"eventType":0,"statusLevel":2,"status":0,"statusContext":{)"
                  R"("s3ExportTaskDefinition":{"inputUrl":"file:/a","bucket":"b","key":"k"},)"
                  R"("exportIdentifier":"to \"s3\"","streamName":"uploads","sequenceNumber":41},)"
                  "\"message\":\"done \xEF\xBF\xBD\\u000a\",\"timestampEpochMs\":1700000000000}");
  EXPECT_TRUE(nlohmann::json::accept(text));
}

TEST(Status, AnUnreadableTaskIsLeftOut) {
  const std::string text =
      status_message(kTask, "", {TaskStatus::kFailure, model::StatusLevel::kError, "not JSON"}, 1);
  const auto context = nlohmann::json::parse(text).at("statusContext");
  EXPECT_FALSE(context.contains("s3ExportTaskDefinition"));
  EXPECT_EQ(context.at("sequenceNumber"), 41);
}

TEST(Status, AnEndIsRecognisedForItsOwnTaskOnly) {
  const auto said = [](TaskStatus status, const TaskName& by) {
    const std::string text = status_message(by, "{}", {status, model::StatusLevel::kInfo, ""}, 1);
    return says_completed(as_bytes(text), kTask);
  };
  EXPECT_TRUE(said(TaskStatus::kSuccess, kTask));
  EXPECT_TRUE(said(TaskStatus::kFailure, kTask));
  EXPECT_TRUE(said(TaskStatus::kCanceled, kTask));
  EXPECT_FALSE(said(TaskStatus::kInProgress, kTask));
  EXPECT_FALSE(said(TaskStatus::kWarning, kTask));
  EXPECT_FALSE(said(TaskStatus::kSuccess, {"other", kTask.export_identifier, kTask.sequence}));
  EXPECT_FALSE(said(TaskStatus::kSuccess, {"uploads", "other", kTask.sequence}));
  EXPECT_FALSE(said(TaskStatus::kSuccess, {"uploads", "to \"s3\"", SequenceNumber(42)}));
  for (const char* other : {"", "[]", "{}", R"({"status":null})", R"({"status":0})",
                            R"({"status":0,"statusContext":{}})", "nonsense"}) {
    EXPECT_FALSE(says_completed(as_bytes(other), kTask)) << other;
  }
}

TEST(Status, AnEndIsRecognisedWithTheLargestTaskAndNotLookedForInMore) {
  const std::string task = R"({"bucket":")" + std::string(65'536 - 13, 'b') + R"("})";
  const std::string text =
      status_message(kTask, task, {TaskStatus::kSuccess, model::StatusLevel::kInfo, ""}, 1);
  EXPECT_TRUE(says_completed(as_bytes(text), kTask));
  EXPECT_FALSE(says_completed(as_bytes(text + std::string(256 * 1024, ' ')), kTask));
}

}  // namespace
}  // namespace weir::destination::s3
